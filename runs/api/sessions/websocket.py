"""The agent streaming protocol over one websocket: commands, answers and events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runs.api.sessions.session import Session
from runs.api.sessions.subscriptions import MOST, Subscriptions
from runs.conf import settings
from runs.encoding import encode
from runs.exceptions import InvalidRequest
from runs.protocols.agent.commands import NOT_JSON, Command, ProtocolError, failure, parse_command, success
from runs.protocols.agent.filters import parse_filter
from runs.requests.parsing import INVALID, parse
from threads.db.errors import is_passing
from threads.db.tasks import spawn
from threads.models.querysets import Principal

logger = logging.getLogger(__name__)

#: Commands that are answered after their past events were sent; the client's next commands do not wait for
#: them.
JOINING = frozenset({"subscription.subscribe", "subscription.reconnect"})
#: A longer command of this kind, in characters, does block the client's next commands.
SMALL = 16 * 1024
#: Messages in a row that are no commands, after which the socket is closed.
MOST_BAD = 100
RECONNECT_WITHOUT_CHANNELS = "subscription.reconnect requires a non-empty channels array."


class TooManyBadFrames(Exception):
    """The client has sent too many messages that are no commands."""


class SocketSession:
    """One socket's commands to its thread.

    Args:
        send: Sends a text frame; waits while the socket's write buffer is full.
        failed: Called with the reason when the events end.
    """

    def __init__(
        self,
        session: Session,
        *,
        send: Callable[[str], Awaitable[None]],
        failed: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._session = session
        self._send = send
        self._subscriptions = Subscriptions(session.thread_id, session.principal, send=send, failed=failed)
        #: Subscriptions that are catching up; the client's next commands do not wait for them.
        self._joining: set[asyncio.Task[None]] = set()
        self._bad = 0

    async def receive(self, text: str | None) -> None:
        """Answer one frame of the client; None stands for a frame that is not text.

        Raises TooManyBadFrames.
        """
        try:
            command = parse_command(self._parsed(text))
        except ProtocolError as error:
            await self._send(encode(failure(error)))
            self._bad += 1
            if self._bad >= MOST_BAD:
                raise TooManyBadFrames from None
            return
        self._bad = 0
        # Bounds the memory for a client that sends but never reads: at most MOST small answers are pending.
        if command.method in JOINING and len(self._joining) < MOST and len(text or "") <= SMALL:
            task = spawn(self._answer(command))
            self._joining.add(task)
            task.add_done_callback(self._joined)
        else:
            await self._answer(command)

    def _joined(self, task: asyncio.Task[None]) -> None:
        self._joining.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Usually the client has disconnected meanwhile.
            logger.debug("A subscription could not be answered: %s", error)

    async def close(self) -> None:
        for task in self._joining:
            task.cancel()
        await self._subscriptions.close()

    # --- commands

    def _parsed(self, text: str | None) -> Any:
        try:
            return parse((text or "").encode("utf-8", "surrogatepass"), depth=settings.JSON_DEPTH)
        except InvalidRequest as error:
            message = str(error)
            raise ProtocolError("invalid_argument", NOT_JSON if message == INVALID else message) from None

    async def _answer(self, command: Command) -> None:
        subscribes = command.method.startswith("subscription.")
        try:
            result = await self._execute(command, subscribes=subscribes)
            sent = self._subscriptions.sent
            answer = success(command, result, seq=sent if subscribes else max(sent, self._session.before))
        except ProtocolError as error:
            answer = failure(error, command, seq=self._subscriptions.sent if subscribes else None)
        await self._send(encode(answer))

    async def _execute(self, command: Command, *, subscribes: bool) -> dict[str, Any]:
        try:
            return await (self._subscription(command) if subscribes else self._session.execute(command))
        except ProtocolError:
            raise
        except Exception as error:
            if is_passing(error):
                logger.error("%s failed: %s", command.method, error)
                raise ProtocolError(
                    "unknown_error", "503: The database does not answer; try again."
                ) from error
            logger.exception("%s failed.", command.method)
            raise ProtocolError("unknown_error", "500: Internal Server Error") from error

    async def _subscription(self, command: Command) -> dict[str, Any]:
        if not isinstance(command.params, Mapping):
            raise ProtocolError("invalid_argument", "params must be an object.")
        match command.method:
            case "subscription.subscribe":
                return await self._subscribe(*await self._session.permitted(command))
            case "subscription.reconnect":
                if not command.params.get("channels"):
                    raise ProtocolError("invalid_argument", RECONNECT_WITHOUT_CHANNELS)
                found = await self._subscribe(*await self._session.permitted(command))
                return {**found, "restored": True, "missed_events": found["replayed_events"]}
            case "subscription.unsubscribe":
                await self._subscriptions.remove(command.params.get("subscription_id"))
                return {}
        raise ProtocolError("unknown_command", f"Unknown protocol command: {command.method[:100]}")

    async def _subscribe(self, params: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
        try:
            wanted = parse_filter(params)
        except InvalidRequest as error:
            raise ProtocolError("invalid_argument", str(error)) from None
        name, replayed = await self._subscriptions.add(wanted, principal=principal)
        return {"subscription_id": name, "replayed_events": replayed}
