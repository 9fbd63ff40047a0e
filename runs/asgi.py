"""The entry point for a site's `asgi.py`: `application = get_asgi_application()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import asgi

if TYPE_CHECKING:
    from runs.server.application import Site
    from runs.server.types import Application


def get_asgi_application(site: Application | None = None) -> Site:
    """Return the application of a site that serves and executes runs. The settings module must be
    set before.

    It answers the lifespan protocol, and the paths of the API, wherever `runs.urls` is included.

    Args:
        site: The site's own ASGI application, if it is not Django's alone: it gets all other requests
            and websockets. An example is Channels' `ProtocolTypeRouter`.
    """
    given: Any = site
    django_site: Any = given or asgi.get_asgi_application()
    # Imported here because it imports models, and the call above loads the apps.
    from runs.server.application import reject
    from runs.server.site import site_application

    return site_application(django_site, websocket=given or reject)
