"""The ASGI application: dispatches to the API, its websocket and the rest of the site, while the
runtime is open.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from runs.server.cors import CrossOrigin
from runs.server.lifespan import Lifespan, State
from runs.server.limits import BodyLimit, PlainPaths, refuse
from runs.server.paths import is_of_api
from runs.server.types import Application, Receive, Scope, Send

logger = logging.getLogger(__name__)


async def reject(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a websocket before the handshake, which the client sees as 403."""
    await receive()
    await send({"type": "websocket.close"})


class Site:
    """Dispatches by scope type and path, once the runtime is open."""

    def __init__(
        self,
        lifespan: Lifespan,
        *,
        api: Application,
        site: Application,
        websocket: Application,
        is_of_api: Callable[[Scope], bool] = is_of_api,
    ) -> None:
        self.lifespan = lifespan
        self._is_of_api = is_of_api
        self.api = CrossOrigin(self._while_serving(PlainPaths(BodyLimit(api))))
        self.site = self._while_serving(BodyLimit(site))
        self.websocket = websocket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.lifespan(scope, receive, send)
        if self.lifespan.state is State.STARTING:
            await self._open()
        if scope["type"] == "websocket":
            return await (self.websocket if self._serving else reject)(scope, receive, send)
        return await (self.api if self._is_of_api(scope) else self.site)(scope, receive, send)

    @property
    def _serving(self) -> bool:
        return self.lifespan.state in (State.READY, State.DRAINING)

    def _while_serving(self, application: Application) -> Application:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if self._serving:
                return await application(scope, receive, send)
            return await refuse(send, 503, self._why_not())

        return serve

    async def _open(self) -> None:
        """Open the runtime for a server that sent no lifespan, such as the plain `daphne` command."""
        if not self.lifespan.begun and "daphne.server" in sys.modules:
            # Not above: it imports Twisted, which other servers do not need.
            from runs.server.daphne import drain_before_exit

            drain_before_exit(self.lifespan)
        try:
            await self.lifespan.startup()
        except Exception as error:
            logger.error("The server could not start: %s", error)

    def _why_not(self) -> str:
        if self.lifespan.state is State.CLOSED:
            return "The server is shutting down."
        error = self.lifespan.error
        return str(error) if hasattr(error, "exit_code") else "The server could not start: its log says why."
