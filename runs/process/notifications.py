"""Wake-ups between processes, over PostgreSQL's LISTEN and NOTIFY. They carry ids alone; what they are about is read.

    tell(key) ──batch──► NOTIFY ──► every process's one listening connection ──► its bells

A notification is sent after the commit that it is about, in a transaction of its own that writes nothing: inside the
commit it would hold PostgreSQL's one lock on the notification queue while the disk is waited for, and so make all commits
of the database wait for one another. One that is lost, with its sender or the connection, costs the time of a poll.
"""

from __future__ import annotations

import asyncio
import logging
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
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

CHANNEL = "runs"
#: PostgreSQL takes payloads below 8000 bytes; each id has 32 and a comma.
IDS_EACH = 200
#: How often a process says that it is there and listens, and after which silence it is taken for gone, in seconds.
HELLO, GONE = 5.0, 16.0
#: How long the end of a process waits for its last batch, in seconds.
FLUSH = 1.0
#: Pauses between attempts to connect, in seconds.
BACKOFF, LONGEST_BACKOFF = 0.05, 1.0


class Notifications:
    """This process's connection to the others: hears what they tell, and tells them."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups
        #: Marks what this process sends: it has rung its own bells already.
        self._tag = secrets.token_hex(4)
        self._pending: set[UUID | str] = set()
        self._sending: asyncio.Task[None] | None = None
        #: Other processes by their tags, and when each was heard last, by the monotonic clock.
        self._others: dict[str, float] = {}
        self._heard_self = 0.0
        self._closed = False

    # --- telling

    def announce(self, key: UUID | str) -> None:
        """Tell other processes soon; what is told while a batch is on its way shares the next one."""
        if self._closed or not self._has_company():
            return
        self._pending.add(key)
        if self._sending is None:
            self._sending = spawn(self._send())

    def _has_company(self) -> bool:
        if not self._wakeups.connected:
            return True  # nobody knows
        now = time.monotonic()
        return any(now - heard < GONE for heard in self._others.values())

    async def _send(self) -> None:
        while self._pending:
            keys, self._pending = self._pending, set()
            try:
                await in_database(notify, keys, tag=self._tag)
            except Exception as error:
                logger.warning(
                    "Other processes could not be told of changes; they look by themselves: %s", error
                )
        self._sending = None

    async def flush(self) -> None:
        """Wait until everything that was told is sent, if the database takes it."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=FLUSH)

    def close(self) -> None:
        self._closed = True

    # --- hearing

    async def listen(self) -> None:
        """Listen for ever, on a connection that is replaced whenever it breaks."""
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
                    "The connection that listens broke; processes poll until it is back: %s", error
                )
            self._wakeups.connected = False
            # What was told meanwhile is lost.
            self._wakeups.ring_all()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_BACKOFF)

    async def _hear(self, db: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        """Ring for what comes in until the connection breaks, or does not bring this process's own hello any more."""
        self._heard_self = time.monotonic()
        self._wakeups.connected = True
        self._wakeups.ring_all()
        while True:
            self._hello()
            async for notification in db.notifies(timeout=HELLO):
                self._take(notification.payload)
            silence = time.monotonic() - self._heard_self
            if silence > 2 * HELLO and self._sending is None:
                raise TimeoutError(f"nothing came back for {silence:.0f} s")

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
                # It has just come, or was away: it may not know this one, and has told this one nothing so far.
                self._hello()
                self._wakeups.ring_all()
            self._others[tag] = now
        for word in filter(None, keys.split(",")):
            # A process of another version may have words that this one does not know, and nobody here waits for.
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
    """Tell every process that listens, in one statement; outside a transaction that writes (see above)."""
    words = [key.hex if isinstance(key, UUID) else key for key in keys]
    payloads = [f"{tag}:{','.join(words[at : at + IDS_EACH])}" for at in range(0, len(words), IDS_EACH)]
    with connection.cursor() as cursor:
        asked = time.monotonic()
        cursor.execute(
            "SELECT pg_notify(%s, each), clock_timestamp() FROM unnest(%s::text[]) AS each",
            [CHANNEL, payloads],
        )
        # A process that only serves has no other occasion to keep the database's time.
        clock.note(cursor.fetchall()[-1][1], asked=asked)


def notify_after_commit(keys: Iterable[UUID | str]) -> None:
    """Tell every process, for synchronous code without a runtime, such as a command or the admin."""
    if connection.vendor != "postgresql" or not (told := list(keys)):
        return

    def tell() -> None:
        with suppress(DatabaseError):  # they look by themselves
            notify(told)

    transaction.on_commit(tell)


@asynccontextmanager
async def notifications(wakeups: Wakeups) -> AsyncIterator[Notifications | None]:
    """Connect this process's bells with those of the others, where the database can; on SQLite readers look."""
    if connection.vendor != "postgresql":
        yield None
        return
    opened = Notifications(wakeups)
    wakeups.announce = opened.announce
    # A fresh context: it must not live in that of whoever opens the runtime.
    listening = spawn(opened.listen(), "listen")
    try:
        yield opened
    finally:
        await opened.flush()
        opened.close()
        listening.cancel()
        await asyncio.wait([listening])
        wakeups.connected = False
