"""Daphne with a lifespan, an orderly shutdown, back-pressure, body limits and close codes.

Only this module, `connections.py`, `sockets.py` and `channels.py` import Daphne or Twisted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import daphne.server  # before all of Twisted, because it installs the reactor that Twisted uses
from django.conf import settings
from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from runs.conf import settings as run_settings
from runs.protocols.agent.closing import RESTARTING, Code, reason, return_after_restart
from runs.server.connections import HTTPFactory, Request
from runs.server.lifespan import STOP_SIGNALS, Lifespan, State, Stopped, exit_anyway
from runs.server.sockets import CLOSE_ANSWER, Inbox, WebSocketFactory, WebSocketProtocol
from runs.server.types import Application, Message, Scope
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)
#: `Any`, because its declared type is a module of interfaces, whose methods mypy cannot bind.
reactor: Any = twisted_reactor

BACKLOG = 1024
#: Seconds after the drain in which responses may end by themselves, and seconds until the rest is killed.
FINISH, CLOSE = 2.0, 5.0


class ListenError(OSError):
    """The server cannot listen on the address."""

    exit_code = 1

    def __str__(self) -> str:
        return str(self.strerror)


class Server(daphne.server.Server):
    """Serves `application` between the start and the end of `lifespan`."""

    def __init__(
        self,
        application: Application,
        lifespan: Lifespan,
        *,
        host: str,
        port: int,
        listener: socket.socket | None = None,
        on_listening: Callable[[], None] | None = None,
        **options: Any,
    ):
        """Args:
        listener: A socket that listens already; it is used instead of a new one, and stays open.
        on_listening: Called when the server accepts requests; by default the address is printed.
        """
        for limit in ("websocket_max_message_size", "websocket_max_frame_size"):
            options.setdefault(limit, getattr(settings, f"DAPHNE_{limit.upper()}", 1024 * 1024))
        options.setdefault("ping_interval", run_settings.SOCKET_PING)
        options.setdefault("ping_timeout", run_settings.SOCKET_PONG)
        super().__init__(application, endpoints=[f"tcp:{port}:interface={host}"], **options)
        self.lifespan = lifespan
        self.host, self.port = host, port
        self._given, self._on_listening = listener, on_listening or self._print_address
        self._listener: Any = None
        self._closing: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Start, listen, serve until a signal, drain, close. Raises the error of a failed start."""
        loop = reactor._asyncioEventloop
        asyncio.set_event_loop(loop)
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread:
            for number in STOP_SIGNALS:
                loop.add_signal_handler(number, self._signalled)
        self._prepare()
        try:
            loop.run_until_complete(self.lifespan.startup())
            if self.lifespan.state is State.READY:
                self._listen()
        except Stopped:
            return
        except ListenError:
            loop.run_until_complete(self.lifespan.shutdown())
            raise
        if self._listener is None:  # a stop signal arrived at the end of the start
            loop.run_until_complete(self.lifespan.shutdown())
            return
        reactor.run(installSignalHandlers=False)
        if in_main_thread:
            exit_anyway(self.lifespan.exit_code)

    def _prepare(self) -> None:
        log: Any = STDLibLogObserver("twisted")
        # Errors only: the warnings are about clients.
        errors: Any = LogLevelFilterPredicate(defaultLogLevel=LogLevel.error)
        observer: Any = FilteringLogObserver(log, [errors])
        globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = HTTPFactory(self)
        self.ws_factory = WebSocketFactory(self, server=self.server_name)
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxMessagePayloadSize=self.websocket_max_message_size,
            maxFramePayloadSize=self.websocket_max_frame_size,
            closeHandshakeTimeout=CLOSE_ANSWER,
            failByDrop=False,  # so that the client gets a close code, such as 1009 for a large message
        )
        reactor.callLater(1, self.application_checker)
        reactor.callLater(2, self.timeout_checker)

    def _listen(self) -> None:
        try:
            if self._given is not None:
                self._given.setblocking(False)
                self._listener = reactor.adoptStreamPort(
                    self._given.fileno(), self._given.family, self.http_factory
                )
            else:
                self._listener = reactor.listenTCP(self.port, self.http_factory, BACKLOG, self.host)
        except CannotListenError as error:
            cause = error.socketError
            reason = cause.strerror or str(cause)
            raise ListenError(cause.errno, f"Cannot listen on {self.host}:{self.port}: {reason}.") from error
        self._on_listening()

    def _print_address(self) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        print(f"Listening on http://{host}:{self._listener.getHost().port}", flush=True)

    def create_application(self, protocol: Any, scope: Scope) -> Inbox:
        scope.setdefault("asgi", {"version": "3.0"})
        inbox = Inbox()
        if scope["type"] == "websocket":
            inbox.transport = protocol.transport
        coroutine = self.application(scope, inbox.get, partial(self.handle_reply, protocol))
        # An empty context: otherwise a connection's next request inherits the previous one's context
        # variables.
        task = spawn(coroutine)
        self.connections[protocol]["application_instance"] = task
        return inbox

    async def handle_reply(self, protocol: Any, message: Message) -> None:
        await super().handle_reply(protocol, message)
        if protocol.gate is not None:
            await protocol.gate.passed()

    def _signalled(self) -> None:
        self.lifespan.signalled()
        if reactor.running:
            self.stop()

    def stop(self) -> None:
        """Begin the shutdown, once."""
        if self._closing is None:
            self._closing = spawn(self._close())

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.stopListening()
        try:
            await self.lifespan.shutdown()
            await self._close_connections()
        except Exception:
            logger.exception("The shutdown was not clean.")
        finally:
            reactor.stop()

    async def _close_connections(self) -> None:
        now = asyncio.get_running_loop().time
        start = now()
        sockets = [each for each in self.connections if isinstance(each, WebSocketProtocol)]
        for protocol in sockets:
            back = return_after_restart(len(sockets))
            protocol.close_with(Code.RESTART, reason(RESTARTING, retry_after=back))
        await self._quiet(until=start + FINISH)
        for protocol in list(self.connections):
            if isinstance(protocol, Request):
                protocol.disconnect()
        await self._quiet(until=start + CLOSE)
        for details in self.connections.values():
            if "application_instance" in details:
                details["application_instance"].cancel()
        await self._quiet(until=now() + 1)

    async def _quiet(self, *, until: float) -> None:
        """Wait until no application runs, no websocket is open and all data is written."""
        while self._busy() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 (no event covers all of this)
            await asyncio.sleep(0.01)

    def _busy(self) -> bool:
        for protocol, details in self.connections.items():
            if (task := details.get("application_instance")) is not None and not task.done():
                return True
            if isinstance(protocol, WebSocketProtocol) and "disconnected" not in details:
                return True
        return bool(reactor.getWriters())


def drain_before_exit(lifespan: Lifespan) -> None:
    """Make a plain Daphne wait for the drain before it exits.

    It closes its connections before the drain.
    """
    if reactor.running:
        shutdown = lambda: Deferred.fromFuture(asyncio.ensure_future(lifespan.shutdown()))  # noqa: E731
        reactor.addSystemEventTrigger("before", "shutdown", shutdown)
