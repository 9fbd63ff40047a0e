"""The application of a site: the API on a lean handler, its websocket, and the site's own application.

Importing this module needs the apps loaded: `runs.asgi` sees to that.
"""

from __future__ import annotations

from typing import Any

from django.urls import ResolverMatch

from runs.api.http.middleware import MIDDLEWARE
from runs.api.routes.consumers import ThreadConsumer
from runs.api.site import not_found
from runs.conf import settings
from runs.identity.origins import may_connect, scheme_of
from runs.identity.sockets import take_ticket
from runs.server.application import Site, reject
from runs.server.cors import header
from runs.server.handler import LeanHandler
from runs.server.lifespan import lifespan
from runs.server.limits import has_encoded_slash
from runs.server.paths import MATCH, below_mount, is_of_api, match_of, socket_parameters
from runs.server.types import Application, Receive, Scope, Send

#: The match of unknown paths below the API's prefix.
UNKNOWN = ResolverMatch(not_found, (), {})


def websocket_application(other: Application = reject) -> Application:
    """The API's websocket; connections to other paths go to `other`."""
    # No authentication here: the consumer does it (`runs.identity.sockets`).
    consumer: Any = ThreadConsumer.as_asgi()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        parameters = socket_parameters(scope)
        if parameters is None:
            return await other(scope, receive, send)
        take_ticket(scope)
        # Only a browser sends a user's cookies with a socket of another site's page, and it sends an Origin.
        origin, host = (
            each.decode("latin-1") if each is not None else None
            for each in (header(scope, b"origin"), header(scope, b"host"))
        )
        take_ticket(scope)
        if not may_connect(
            origin, settings.CORS_ORIGINS, host=host, scheme=scheme_of(scope)
        ) or has_encoded_slash(scope):
            return await reject(scope, receive, send)
        await consumer({**scope, "url_route": {"args": (), "kwargs": parameters}}, receive, send)
        return None

    return application


def dispatched(scope: Scope) -> bool:
    """Whether a request is the API's, also to refuse an unknown path."""
    if match_of(scope) is None and below_mount(scope):
        scope[MATCH] = UNKNOWN
    return is_of_api(scope)


def site_application(site: Application, *, websocket: Application = reject) -> Site:
    """Return the application of this process.

    Args:
        site: Serves the requests that are not the API's; normally Django's own ASGI application.
        websocket: Serves the websockets that are not the API's.
    """
    return Site(
        lifespan,
        api=LeanHandler(MIDDLEWARE),
        site=site,
        websocket=websocket_application(websocket),
        is_of_api=dispatched,
    )
