"""The entry point for a site's `asgi.py`: `application = get_asgi_application()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import asgi

if TYPE_CHECKING:
    from runs.server.application import Site


def get_asgi_application() -> Site:
    """Return the application of a site that serves and executes runs. The settings module must be
    set before.

    It answers the lifespan protocol, HTTP and websockets. Requests outside the API go to Django.
    """
    django_site: Any = asgi.get_asgi_application()
    # Imported here because it imports models, and the call above loads the apps.
    from runs.server.application import site_application

    return site_application(django_site)
