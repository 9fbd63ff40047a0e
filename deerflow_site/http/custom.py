"""The ASGI application that `http.app` names: its import and its lifespan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from django.conf import settings

from deerflow_site.project import Project, ProjectError
from runs.exceptions import StartupError
from runs.graphs.loading import describe, import_object
from runs.server.types import Application
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

#: How long the application may take to close, in seconds.
CLOSE = 5.0
#: What the application's lifespan has put into `state`; each request gets a copy.
state: dict[str, Any] = {}


def project() -> Project | None:
    """The project that is served; None for the example site alone."""
    found: Project | None = getattr(settings, "PROJECT", None)
    return found


@cache
def application() -> Application | None:
    """The application that `http.app` names, imported at the first call. Raises ProjectError."""
    served = project()
    if served is None or not (path := served.http.get("app")):
        return None
    where = f"{served.file.name}: 'http.app' {path!r}"
    try:
        found = import_object(path, folder=served.folder)
    except (Exception, SystemExit) as error:
        raise ProjectError(f"{where} cannot be imported: {describe(error)}.") from error
    if not callable(found):
        raise ProjectError(f"{where} is no ASGI application, but {type(found).__qualname__}.")
    return found  # type: ignore[no-any-return]


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Keep the application's lifespan open. Raises StartupError if it cannot start."""
    app = application()
    if app is None:
        yield
        return
    state.clear()
    conversation = Conversation(app)
    await conversation.startup()
    try:
        yield
    finally:
        await conversation.shutdown()


class Conversation:
    """ASGI's lifespan protocol, from the server's side."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._open = False

    async def startup(self) -> None:
        self._task = spawn(self._talk(), "http.app")
        self._asked.put_nowait({"type": "lifespan.startup"})
        answer = await self._answers.get()
        if answer["type"] == "lifespan.startup.complete":
            self._open = True
        elif answer["type"] == "lifespan.startup.failed":
            lines = str(answer.get("message") or "it does not say why").strip().splitlines()
            raise StartupError(f"langgraph.json: 'http.app' could not start: {lines[-1]}.", exit_code=1)

    async def shutdown(self) -> None:
        """Close the application, within a bounded time; what fails is logged."""
        if not self._open or self._task is None:
            return
        self._asked.put_nowait({"type": "lifespan.shutdown"})
        try:
            async with asyncio.timeout(CLOSE):
                answer = await self._answers.get()
        except TimeoutError:
            logger.warning("langgraph.json: 'http.app' did not close within %g s.", CLOSE)
            self._task.cancel()
            return
        if answer["type"] == "lifespan.shutdown.failed":
            logger.error("langgraph.json: 'http.app' failed to close: %s", answer.get("message"))

    async def _talk(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": state}
        try:
            await self._app(scope, self._asked.get, self._send)
        except Exception as error:
            # Before its first message, an exception says that the application has no lifespan.
            logger.debug("http.app has no lifespan: %r", error)
        self._answers.put_nowait({"type": "ended"})

    async def _send(self, message: Any) -> None:
        self._answers.put_nowait(message)
