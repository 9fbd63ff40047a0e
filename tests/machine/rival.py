"""A second thread that begins during a function of the first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from django.db import connection

from tests.machine.sight import Eyes
from tests.machine.workers import PATIENCE

#: Seconds between two checks whether the second function waits for a lock of the first.
GLANCE = 0.001


class Rival:
    """Another thread with its own connection.

    Only on PostgreSQL, because SQLite serialises transactions.
    """

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rival")
        self._pid = self._thread.submit(_backend).result()

    def race(self, first: Callable[[], Any], second: Callable[[], Any], *, statement: int) -> None:
        """Call `first`.

        Before its `statement`-th statement start `second`, and wait until that ends or waits for a
        lock.
        """
        begun: list[Future[Any]] = []
        count = 0

        def interrupted(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal count
            if count == statement:
                begun.append(self._thread.submit(second))
                while not begun[0].done() and not self._waits():
                    wait(begun, timeout=GLANCE)
            count += 1
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(interrupted):
                first()
        finally:
            if not begun:
                begun.append(self._thread.submit(second))
            wait(begun, timeout=PATIENCE)
        begun[0].result(0)

    def _waits(self) -> bool:
        found = self._eyes.ask("SELECT 1 AS one FROM pg_locks WHERE pid = %s AND NOT granted", self._pid)
        return bool(found)

    def close(self) -> None:
        self._thread.submit(_close).result()
        self._thread.shutdown()


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def _close() -> None:
    connection.close()
