"""The site's ASGI application: the site itself, inside what `http` of a project's langgraph.json says."""

from __future__ import annotations

import os

from runs.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deerflow_site.settings")
site = get_asgi_application()

# Imported here because it needs the apps, which the call above loads.
from deerflow_site.http.application import with_project  # noqa: E402

application = with_project(site)
