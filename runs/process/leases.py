"""A worker's identity, its lease, and the locks that prove that a process is gone.

A lease is the time until which a silent worker counts as alive, by the database's clock. The worker
itself trusts its lease for a shorter time, by its monotonic clock. A dead process is found at once,
before its lease ends. On PostgreSQL a worker holds a session advisory lock, which the server frees
with the connection; for SQLite see `executor_lock`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from django.db.models.functions import Coalesce

from runs.conf import settings
from runs.models import Worker
from runs.process import forks
from runs.version import VERSION
from threads.checkpoints.postgres.storage import connection_string
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import new_id

logger = logging.getLogger(__name__)

#: How long free locks are ignored after a start of the database, or after the end of one's own connection, in
#: seconds.
SETTLED = 3.0
#: Share of a lease for which the worker itself trusts it, by its monotonic clock.
TRUSTED = 5 / 6
#: Ends a session, but only if it holds the lock, because its process id may belong to another session by now.
END_PREDECESSOR = """SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = %s
        AND ((classid::bigint << 32) | objid::bigint) = %s"""
#: `lock_key` of the column `id`, in SQL.
LOCK_KEY = "('x' || right(replace(id::text, '-', ''), 16))::bit(64)::bigint & 9223372036854775807"


def lock_key(worker_id: UUID) -> int:
    """A worker's PostgreSQL advisory lock: 63 bits of its id."""
    return worker_id.int & (2**63 - 1)


def mark_stopped(worker_ids: Collection[UUID]) -> None:
    Worker.objects.filter(id__in=worker_ids, stopped_at__isnull=True).update(stopped_at=clock.now())


def mark_dead(worker_ids: Collection[UUID]) -> None:
    """`mark_stopped` for workers that did not end their leases themselves."""
    gone = Worker.objects.filter(id__in=worker_ids, stopped_at__isnull=True)
    now = clock.now()
    gone.update(stopped_at=now, killed_at=now)


def mark_draining(worker_id: UUID) -> None:
    Worker.objects.filter(id=worker_id).update(draining=True)


def request_drain(worker_id: UUID) -> bool:
    """Ask a live worker to drain; return whether there was one. It reads this at its next heartbeat."""
    alive = Worker.objects.alive(clock.now()).filter(id=worker_id)
    return alive.update(drain_requested_at=Coalesce("drain_requested_at", clock.now())) == 1


class Lease:
    """This process's worker row, and how long its lease is trusted.

    Args:
        on_expiry: Called when the trust ends without a renewal, because other processes may soon
            consider this worker dead.
        shaken_at: When this process's connection was last ended, by its monotonic clock.
    """

    def __init__(self, *, on_expiry: Callable[[], None] = lambda: None, shaken_at: float = -math.inf) -> None:
        self.worker_id = new_id()
        #: Set when the connection that holds the lock breaks, so that the lease is renewed at once.
        self.broken = asyncio.Event()
        self.shaken_at = shaken_at
        #: Whether an operator has asked this worker to drain; read at each renewal.
        self.drain_requested = False
        self._on_expiry = on_expiry
        self._trusted_until = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self._db: psycopg.AsyncConnection[Any] | None = None
        #: The server's process id of the last connection that had the lock.
        self._backend = 0
        self._inheritance = ExitStack()

    @property
    def trusted(self) -> bool:
        """Whether no other process can consider this one dead yet. On SQLite the lock proves that,
        so the clock does not matter.
        """
        return connection.vendor != "postgresql" or asyncio.get_running_loop().time() < self._trusted_until

    def steady(self) -> bool:
        """Whether this worker's connection has not been ended recently; may be called from any
        thread.
        """
        return not self.broken.is_set() and time.monotonic() - self.shaken_at > SETTLED

    async def begin(self, *, concurrency: int, queues: Collection[str] | None = None) -> None:
        """Insert the worker's row; on PostgreSQL take its lock first, on a separate connection."""
        await self._connect()
        await in_database(register, self.worker_id, concurrency, queues)
        await self.renew()

    async def _connect(self) -> None:
        """Connect, and take the worker's lock. A connection without the lock is not kept, because
        the worker would count as dead.

        A connection that the network has lost still has its session at the server until the server
        notices, which can take hours. That session is ended, because the new one would wait for its
        lock.
        """
        if connection.vendor != "postgresql":
            return
        db = await psycopg.AsyncConnection.connect(connection_string(), autocommit=True, connect_timeout=5)
        try:
            key = lock_key(self.worker_id)
            # Without a timeout, a session whose client is gone would keep waiting, and then hold the lock for
            # a moment.
            await db.execute(f"SET lock_timeout = {math.ceil(settings.HEARTBEAT * 1000)}")
            if self._backend:
                await db.execute(END_PREDECESSOR, [self._backend, key])
            await db.execute("SELECT pg_advisory_lock(%s)", [key])
        except BaseException:
            await db.close()
            raise
        self._db, self._backend = db, db.info.backend_pid
        self._inheritance.close()
        self._inheritance.enter_context(forks.not_inherited(db.fileno()))

    async def renew(self) -> bool:
        """Renew the lease; return False if others have declared this worker dead.

        Raises the database's error when it is unreachable; the lease then continues until it
        expires.
        """
        began = asyncio.get_running_loop().time()
        self.broken.clear()
        if connection.vendor == "postgresql":
            found = await self._renew_postgres()
        else:
            found = await in_database(renew, self.worker_id)
        if found is None:
            return False
        self.drain_requested = found
        self._trust(began + settings.LEASE * TRUSTED)
        return True

    def _trust(self, until: float) -> None:
        self._trusted_until = until
        if self._expiry is not None:
            self._expiry.cancel()
        if connection.vendor == "postgresql":
            self._expiry = asyncio.get_running_loop().call_at(until, self._on_expiry)

    async def _renew_postgres(self) -> bool | None:
        """As `renew` below."""
        try:
            async with asyncio.timeout(settings.HEARTBEAT):
                if self._db is None or self._db.closed:
                    await self._connect()
                assert self._db is not None
                self._ignore_end()
                asked = time.monotonic()
                cursor = await self._db.execute(
                    f"UPDATE {Worker._meta.db_table} SET heartbeat_at = now(), lease_expires_at = now() + "
                    "make_interval(secs => %s) WHERE id = %s AND stopped_at IS NULL "
                    "RETURNING clock_timestamp(), drain_requested_at IS NOT NULL",
                    [settings.LEASE, self.worker_id],
                )
                row = await cursor.fetchone()
                if row is None:
                    return None
                clock.note(row[0], asked=asked)
                self._notice_end()
                return bool(row[1])
        except (psycopg.Error, OSError, TimeoutError):
            self.shaken_at = time.monotonic()
            await self._disconnect()
            with suppress(psycopg.Error, OSError, TimeoutError):
                # A database that refuses writes still grants locks, which prove that this process lives.
                async with asyncio.timeout(settings.HEARTBEAT):
                    await self._connect()
            raise

    def _notice_end(self) -> None:
        """Notice when the server ends the connection. The only sign is that the idle connection
        becomes readable.
        """
        assert self._db is not None
        asyncio.get_running_loop().add_reader(self._db.fileno(), self._ended)

    def _ignore_end(self) -> None:
        if self._db is not None and not self._db.closed:
            asyncio.get_running_loop().remove_reader(self._db.fileno())

    def _ended(self) -> None:
        self._ignore_end()
        self.shaken_at = time.monotonic()
        self.broken.set()

    async def _disconnect(self) -> None:
        self._ignore_end()
        self._inheritance.close()
        if self._db is not None:
            with suppress(Exception):
                await self._db.close()
        self._db = None

    async def end(self) -> None:
        """End the lease, or release one that other processes have ended."""
        self._trusted_until = 0.0
        if self._expiry is not None:
            self._expiry.cancel()
        try:
            await in_database(mark_stopped, [self.worker_id])
        finally:
            await self._disconnect()


def register(worker_id: UUID, concurrency: int, queues: Collection[str] | None = None) -> None:
    clock.ask()
    now = clock.now()
    Worker.objects.create(
        id=worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=VERSION,
        concurrency=concurrency,
        queues=sorted(queues) if queues is not None else None,
        started_at=now,
        heartbeat_at=now,
        lease_expires_at=now + timedelta(seconds=settings.LEASE),
    )


def renew(worker_id: UUID) -> bool | None:
    """Renew a worker's lease by the ORM; PostgreSQL's workers renew it on a separate connection.

    Returns whether an operator has asked it to drain; None if others have declared it dead.
    """
    now = clock.now()
    own = Worker.objects.filter(id=worker_id, stopped_at__isnull=True)
    own.update(heartbeat_at=now, lease_expires_at=now + timedelta(seconds=settings.LEASE))
    asked = own.values_list("drain_requested_at", flat=True)
    return next((moment is not None for moment in asked), None)
