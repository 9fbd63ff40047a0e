"""The websocket of a thread: `/threads/{thread_id}/stream/events`, the agent streaming protocol."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer
from ninja.errors import HttpError

from runs.api.sessions.session import Session
from runs.api.sessions.websocket import MOST_BAD, SocketSession, TooManyBadFrames
from runs.conf import settings
from runs.exceptions import LimitReached, NotFound, ServerClosing
from runs.identity.auth_file.permission import permit
from runs.identity.auth_file.rules import SOCKET
from runs.identity.principals import Principal
from runs.identity.sockets import principal_of_scope, standing_of_scope, subprotocol_of_scope, with_ticket
from runs.protocols.agent.closing import HTTP, RESTARTING, Code, reason, return_after_restart
from runs.requests import limits
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

#: Messages of a client that may wait for the previous one to be answered, and their characters.
INBOX, ROOM = 8, 256 * 1024
#: How old a client's last authentication may be when it sends a command, in seconds.
ASKED_AGAIN = 1.0


def size_of(text: str | None, data: bytes | None) -> int:
    """Bytes of a message."""
    if text is None:
        return len(data or b"")
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


class Refused(Exception):
    """The socket is closed with a code and a reason that its client reads."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Inbox(asyncio.Queue[str | None]):
    """A client's messages that were not answered yet, bounded by number and size."""

    _size = 0

    def _put(self, item: str | None) -> None:
        super()._put(item)  # type: ignore[misc]
        self._size += len(item or "")

    def _get(self) -> str | None:
        item: str | None = super()._get()  # type: ignore[misc]
        self._size -= len(item or "")
        return item

    def full(self) -> bool:
        return super().full() or self._size >= ROOM


class ThreadConsumer(AsyncWebsocketConsumer):
    """A client's socket on one thread.

    The socket is accepted before it is checked: a browser sees no reason for a refused handshake.
    """

    _session: SocketSession | None = None
    _counted = False
    _closed = False

    async def connect(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._inbox = Inbox(INBOX)
        await self.accept(subprotocol_of_scope(self.scope))
        try:
            await self._open(thread_id := self._thread_id())
        except LimitReached as error:
            code = Code.LIMIT if self._counted else Code.TRY_LATER
            await self._end(code, str(error), retry_after=error.retry_after)
            return
        except Refused as refusal:
            await self._end(refusal.code, str(refusal))
            return
        except HttpError as refusal:
            await self._refuse(refusal)
            return
        except Exception as error:
            await self._failed(error)
            return
        self._standing = standing_of_scope(self._handshake, self._reader, thread_id)
        session = Session(thread_id, self._principal)
        self._session = SocketSession(session, send=self._send_text, failed=self._failed)
        self._spawn(self._answer())
        self._spawn(self._check_standing())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._session is None or self._closed:
            return
        if size_of(text_data, bytes_data) > settings.SOCKET_MESSAGE_LIMIT:
            await self._end(Code.TOO_BIG, "The message is too large.")
        else:
            # Back-pressure: while the inbox is full, the socket is not read.
            await self._inbox.put(text_data)

    async def disconnect(self, code: int) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()

    # --- identity

    def _thread_id(self) -> UUID:
        try:
            return UUID(self.scope["url_route"]["kwargs"]["thread_id"])
        except ValueError:
            raise Refused(Code.NO_THREAD_ID, "Invalid thread ID: must be a UUID") from None

    async def _open(self, thread_id: UUID) -> None:
        """Count the socket, and authenticate its client. This task lives as long as the socket."""
        limits.hold_socket()
        self._counted = True
        self._principal = await self._identified(thread_id)
        limits.hold_connection(self._principal.user_id)

    async def _identified(self, thread_id: UUID) -> Principal:
        """The principal of the handshake's credentials or ticket, if it may read the thread.

        Raises HttpError.
        """
        self._handshake = await with_ticket(self.scope, thread_id)
        principal = await principal_of_scope(self._handshake)
        self._reader = (await permit(principal, SOCKET, {"thread_id": thread_id}, {})).principal
        return principal

    async def _check_standing(self) -> None:
        """Check repeatedly: a session may end, a user or key be disabled, a thread be hidden."""
        while not self._closed:
            # As often as a stream sends something; most checks use the cached answer.
            await asyncio.sleep(min(settings.IDENTITY_CHECK, settings.STREAM_HEARTBEAT))
            try:
                await self._standing.check()
            except HttpError as refusal:
                await self._refuse(refusal)

    async def _refuse(self, refusal: HttpError) -> None:
        await self._end(HTTP + refusal.status_code, str(refusal))

    # --- messages

    async def _answer(self) -> None:
        assert self._session is not None
        try:
            while not self._closed:
                text = await self._inbox.get()
                try:
                    await self._standing.check(patience=ASKED_AGAIN)
                except HttpError as refusal:
                    await self._refuse(refusal)
                else:
                    await self._session.receive(text)
        except TooManyBadFrames:
            await self._end(Code.BAD_FRAMES, f"{MOST_BAD} messages in a row were no commands.")
        except Exception as error:
            # Without this task the socket would never answer again, so it is closed.
            await self._failed(error)
        finally:
            self._closed = True
            while not self._inbox.empty():
                # A `receive` that waits for room would block the disconnect.
                self._inbox.get_nowait()

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)

    async def _failed(self, error: BaseException) -> None:
        if isinstance(error, ServerClosing):
            back = return_after_restart(limits.open_sockets())
            await self._end(Code.RESTART, RESTARTING, retry_after=back)
        elif isinstance(error, NotFound):
            await self._end(Code.GONE, str(error))
        elif isinstance(error, OSError):
            # Some servers raise it for a client that has disconnected.
            logger.debug("A socket's client has disconnected: %s", error)
            self._closed = True
        elif not self._closed:
            logger.error("A socket's thread could not be read.", exc_info=error)
            await self._end(Code.FAILED, "The thread could not be read; connect again.")

    async def _end(self, code: int, why: str, *, retry_after: float | None = None) -> None:
        if not self._closed:
            self._closed = True
            await self.close(int(code), reason(why, retry_after=retry_after))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # A fresh context: the consumer's own is bound to one of Django's threads.
        task = spawn(work)
        task.add_done_callback(_report)
        self._tasks.append(task)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        # Usually the client disconnected while something was being sent.
        logger.debug("A socket's task ended: %s", error)
