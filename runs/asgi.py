"""What a site's `asgi.py` calls: `application = get_asgi_application()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import asgi

if TYPE_CHECKING:
    from runs.server.application import Site


def get_asgi_application() -> Site:
    """Return the application of a site that serves and executes runs, once its settings module is named.

    It answers the lifespan protocol, HTTP and websockets. What is not the API's goes to Django.
    """
    django_site: Any = asgi.get_asgi_application()
    # Not above: it imports models, and the call before this one loads the apps.
    from runs.server.application import site_application

    return site_application(django_site)
