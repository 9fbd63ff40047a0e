"""Wake-ups between processes, over PostgreSQL's LISTEN and NOTIFY. They contain only ids; receivers
read the changed rows.

    tell(key) ──batch──► NOTIFY ──► every process's one listening connection ──► its bells

A notification is sent after the commit that it is about, in a separate transaction that writes
nothing. Inside the commit it would hold PostgreSQL's only lock on the notification queue during the
wait for the disk, and so serialize all commits of the database. A lost notification, with its
sender or the connection, only delays receivers until their next poll.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import psycopg
from django.db import DatabaseError, connection, transaction

from runs.process.wakeups import WORK, Wakeups
from threads.checkpoints.postgres.storage import connection_string
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import new_id
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

CHANNEL = "runs"
#: PostgreSQL accepts payloads below 8000 bytes; each id has 32 and a comma.
IDS_EACH = 200
#: How often a process announces that it listens, and the silence after which it counts as gone, in seconds.
HELLO, GONE = 5.0, 16.0
#: How long a shutdown waits for the last batch, in seconds.
FLUSH = 1.0
#: Pauses between attempts to connect, in seconds.
BACKOFF, LONGEST_BACKOFF = 0.05, 1.0


class Notifications:
    """This process's connection to the others: sends and receives notifications."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups
        #: Marks this process's own notifications, which it ignores because it has already rung its own bells.
        self._tag = secrets.token_hex(4)
        self._pending: set[UUID | str] = set()
        self._sending: asyncio.Task[None] | None = None
        #: Other processes by tag, with the time of their last notification by the monotonic clock.
        self._others: dict[str, float] = {}
        self._heard_self = 0.0
        self._closed = False

    # --- sending

    def announce(self, key: UUID | str) -> None:
        """Notify other processes soon; keys that are added during the sending of a batch share the
        next one.
        """
        if self._closed or not self._has_company():
            return
        self._pending.add(key)
        if self._sending is None:
            self._sending = spawn(self._send())

    def _has_company(self) -> bool:
        if not self._wakeups.connected:
            return True  # unknown: nothing is received
        now = time.monotonic()
        return any(now - heard < GONE for heard in self._others.values())

    async def _send(self) -> None:
        while self._pending:
            keys, self._pending = self._pending, set()
            try:
                await in_database(notify, keys, tag=self._tag)
            except Exception as error:
                logger.warning(
                    "Other processes could not be notified of changes; they find them by polling: %s", error
                )
        self._sending = None

    async def flush(self) -> None:
        """Wait until all notifications are sent, if the database accepts them."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=FLUSH)

    def close(self) -> None:
        self._closed = True

    # --- receiving

    async def listen(self) -> None:
        """Listen until cancelled, on a connection that is replaced whenever it breaks."""
        pause = BACKOFF
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    connection_string(), autocommit=True, connect_timeout=5
                ) as db:
                    await db.execute(f"LISTEN {CHANNEL}")
                    pause = BACKOFF
                    await self._hear(db)
            except (psycopg.Error, OSError, TimeoutError) as error:
                logger.warning(
                    "The listening connection broke; this process polls until it is back: %s", error
                )
            self._wakeups.connected = False
            # Notifications that were sent meanwhile are lost.
            self._wakeups.ring_all()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_BACKOFF)

    async def _hear(self, db: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        """Ring for received notifications until the connection breaks, or no longer delivers this
        process's own hello.
        """
        self._heard_self = time.monotonic()
        self._wakeups.connected = True
        self._wakeups.ring_all()
        while True:
            self._hello()
            async for notification in db.notifies(timeout=HELLO):
                self._take(notification.payload)
            silence = time.monotonic() - self._heard_self
            if silence > 2 * HELLO and self._sending is None:
                raise TimeoutError(f"no notification arrived for {silence:.0f} s")

    def _hello(self) -> None:
        self._pending.add("")
        if self._sending is None:
            self._sending = spawn(self._send())

    def _take(self, payload: str) -> None:
        tag, _, keys = payload.partition(":")
        now = time.monotonic()
        if tag == self._tag:
            self._heard_self = now
            return
        if tag:
            if now - self._others.get(tag, now - GONE) >= GONE:
                # The process has just started, or was disconnected. It may not know this process, and its
                # earlier notifications are lost.
                self._hello()
                self._wakeups.ring_all()
            self._others[tag] = now
        for word in filter(None, keys.split(",")):
            # A process of another version may send words that this version does not know and that nothing
            # here waits for.
            if (key := _key_of(word)) is not None:
                self._wakeups.hear(key)


def _key_of(word: str) -> UUID | str | None:
    if word == WORK:
        return WORK
    try:
        return UUID(word)
    except ValueError:
        return None


def notify(keys: Iterable[UUID | str], *, tag: str = "") -> None:
    """Notify every listening process, in one statement; outside a transaction that writes (see
    above).
    """
    words = [key.hex if isinstance(key, UUID) else key for key in keys]
    payloads = [f"{tag}:{','.join(words[at : at + IDS_EACH])}" for at in range(0, len(words), IDS_EACH)]
    with connection.cursor() as cursor:
        asked = time.monotonic()
        cursor.execute(
            "SELECT pg_notify(%s, each), clock_timestamp() FROM unnest(%s::text[]) AS each",
            [CHANNEL, payloads],
        )
        # A process that only serves has no other opportunity to read the database's clock.
        clock.note(cursor.fetchall()[-1][1], asked=asked)


def notify_after_commit(keys: Iterable[UUID | str]) -> None:
    """Notify every process, for synchronous code without a runtime, such as a command or the admin."""
    if connection.vendor != "postgresql" or not (told := list(keys)):
        return

    def tell() -> None:
        with suppress(DatabaseError):  # they find the change by polling
            notify(told)

    transaction.on_commit(tell)


def round_trip(*, timeout: float) -> float | None:
    """The seconds after which a notification of this process comes back; None if it does not (PostgreSQL)."""
    key = new_id()
    with psycopg.connect(
        connection_string(), autocommit=True, connect_timeout=math.ceil(timeout)
    ) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        began = time.monotonic()
        notify([key])
        while (left := began + timeout - time.monotonic()) > 0:
            for heard in listener.notifies(timeout=left, stop_after=1):
                if key.hex in heard.payload:
                    return time.monotonic() - began
    return None


@asynccontextmanager
async def notifications(wakeups: Wakeups) -> AsyncIterator[Notifications | None]:
    """Connect this process's bells with those of the others, if the database supports it; on SQLite
    readers poll.
    """
    if connection.vendor != "postgresql":
        yield None
        return
    opened = Notifications(wakeups)
    wakeups.announce = opened.announce
    # A fresh context, so that the task does not inherit the context of the code that opens the runtime.
    listening = spawn(opened.listen(), "listen")
    try:
        yield opened
    finally:
        await opened.flush()
        opened.close()
        listening.cancel()
        await asyncio.wait([listening])
        wakeups.connected = False
