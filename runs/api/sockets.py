"""The agent streaming protocol over one websocket: commands, their answers, and events between them.

One reader follows the thread's log for all of a socket's subscriptions, and it is the client that sets its pace: the next
event is read when the one before was taken, so that a slow client costs no memory. A new subscription is first sent
what it missed, while the reader waits, and then shares it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from django.db import InterfaceError, OperationalError

from runs.api.parsing import INVALID, parse
from runs.api.sessions import Session
from runs.conf import settings
from runs.exceptions import InvalidRequest
from runs.protocols.agent.commands import NOT_JSON, Command, ProtocolError, failure, parse_command, success
from runs.protocols.agent.filters import Filter, parse_filter
from runs.serialization import encode
from runs.tape import Tape
from threads.querysets import Principal

logger = logging.getLogger(__name__)

#: Subscriptions of one socket; stock clients have a handful.
MAX_SUBSCRIPTIONS = 100
RECONNECT_WITHOUT_CHANNELS = "subscription.reconnect requires a non-empty channels array."


class SocketSession:
    """What one socket has subscribed to, and been sent.

    Args:
        send: Sends a text frame, and waits while the socket takes no more.
        failed: Called when the events end, with the reason.
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
        self._failed = failed
        self._filters: dict[str, Filter] = {}
        self._reader: asyncio.Task[None] | None = None
        #: Held while an event goes to those who want it, or a new subscription catches up with the others.
        self._turn = asyncio.Lock()
        #: The number of the last event that the reader has come to, and of the last that was sent.
        self._position = 0
        self._sent = 0

    async def receive(self, text: str | None) -> None:
        """Answer one frame of the client; None for one that is no text."""
        try:
            command = parse_command(self._parsed(text))
        except ProtocolError as error:
            await self._send(encode(failure(error)))
            return
        subscribes = command.method.startswith("subscription.")
        try:
            result = await (self._subscription(command) if subscribes else self._execute(command))
            answer = success(command, result, seq=self._sent)
        except ProtocolError as error:
            answer = failure(error, command, seq=self._sent if subscribes else None)
        await self._send(encode(answer))

    async def close(self) -> None:
        await self._stop_reading()

    # --- commands

    def _parsed(self, text: str | None) -> Any:
        try:
            return parse((text or "").encode("utf-8", "surrogatepass"), depth=settings.JSON_DEPTH)
        except InvalidRequest as error:
            message = str(error)
            raise ProtocolError("invalid_argument", NOT_JSON if message == INVALID else message) from None

    async def _execute(self, command: Command) -> dict[str, Any]:
        try:
            return await self._session.execute(command)
        except (OperationalError, InterfaceError) as error:
            logger.error("%s failed: %s", command.method, error)
            raise ProtocolError("unknown_error", "503: The database does not answer; try again.") from error
        except ProtocolError:
            raise
        except Exception as error:
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
                return await self._unsubscribe(command.params)
        raise ProtocolError("unknown_command", f"Unknown protocol command: {command.method[:100]}")

    async def _subscribe(self, params: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
        try:
            wanted = parse_filter(params)
        except InvalidRequest as error:
            raise ProtocolError("invalid_argument", str(error)) from None
        if len(self._filters) >= MAX_SUBSCRIPTIONS:
            raise ProtocolError(
                "invalid_argument", f"A socket has at most {MAX_SUBSCRIPTIONS} subscriptions."
            )
        name = str(uuid4())
        if self._reader is None:
            self._filters[name] = wanted
            replayed = await self._start_reading(principal, since=wanted.since)
        else:
            async with self._turn:
                replayed = await self._replay(wanted, principal, until=self._position)
                self._filters[name] = wanted
        return {"subscription_id": name, "replayed_events": replayed}

    async def _unsubscribe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params.get("subscription_id")
        if not isinstance(name, str) or name not in self._filters:
            raise ProtocolError("no_such_subscription", f"Unknown subscription: {str(name)[:100]}")
        del self._filters[name]
        if not self._filters:
            await self._stop_reading()
        return {}

    # --- events

    async def _start_reading(self, principal: Principal, *, since: int) -> int:
        """Begin to follow the thread; return how many events there were, once they are sent."""
        self._position = since
        there: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(
            self._read(principal, since, there), name="socket events", context=contextvars.Context()
        )
        return await there

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, principal: Principal, since: int, there: asyncio.Future[int]) -> None:
        tape = Tape(self._session.thread_id, principal=principal, since=since)
        count = 0
        try:
            async with aclosing(tape.follow()) as batches:  # type: ignore[type-var]
                async for batch in batches:
                    if not batch and not there.done():
                        there.set_result(count)
                    for event in batch:
                        async with self._turn:
                            if any(wanted.matches(event) for wanted in list(self._filters.values())):
                                await self._send(event.json())
                                self._sent = event.seq
                                count += 1
                            self._position = event.seq
        except Exception as error:
            await self._failed(error)
        finally:
            if not there.done():
                there.set_result(count)

    async def _replay(self, wanted: Filter, principal: Principal, *, until: int) -> int:
        """Send a new subscription what the others have had; return how many events that was."""
        tape = Tape(self._session.thread_id, principal=principal, since=wanted.since)
        count = 0
        async with aclosing(tape.read()) as batches:  # type: ignore[type-var]
            async for batch in batches:
                for event in batch:
                    if event.seq > until:
                        return count
                    if wanted.matches(event):
                        await self._send(event.json())
                        count += 1
        return count
