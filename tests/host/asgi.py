from __future__ import annotations

import os

from runs.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
application = get_asgi_application()
