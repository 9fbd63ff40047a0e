"""Shared by all examples of a test: the event loop and storage, reader, and log's alarms."""

from __future__ import annotations

import copy
import logging
import re
from typing import Any
from uuid import UUID

from django.db import connection
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.assistants import create_system_assistants
from tests.machine.graph import gates, life
from tests.machine.rival import Rival
from tests.machine.sight import Eyes
from tests.machine.workers import Loop
from tests.support.rows import make_user

#: Allowed log messages of level ERROR: a graph of the machine raised as ordered.
EXPECTED = re.compile(r"Run \S+ failed\.$|This worker lost its lease")
TABLES = {
    "postgresql": ("runs_runevent", "runs_deletedrun", "runs_run", "threads_thread", "runs_worker",
                   "checkpoints", "checkpoint_blobs", "checkpoint_writes"),
    "sqlite": ("runs_runevent", "runs_deletedrun", "runs_run", "threads_thread", "runs_worker", "checkpoints", " writes"),
}  # fmt: skip


class Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not EXPECTED.match(record.getMessage()):
            self.lines.append(self.format(record))


class Site:
    def __init__(self, checkpoints_file: str) -> None:
        serde = JsonPlusSerializer(allowed_msgpack_modules=None)
        self.postgres = connection.vendor == "postgresql"
        if self.postgres:
            self._hurry(on=True)
        self.user_id: int = make_user().pk
        create_system_assistants(["life"])
        self.loop = Loop(checkpoints_file, serde)
        self.eyes = Eyes(checkpoints_file, serde)
        if self.postgres:
            self.rival = Rival(self.eyes)
        self.complaints = Complaints()
        logging.getLogger().addHandler(self.complaints)

    def _hurry(self, *, on: bool) -> None:
        """Let commits skip the wait for the disk; none must survive a crash of the database."""
        name = connection.settings_dict["NAME"]
        with connection.cursor() as cursor:
            if on:
                cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
                cursor.execute("SET synchronous_commit = off")
            else:
                cursor.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')
                cursor.execute("RESET synchronous_commit")

    def close(self) -> None:
        logging.getLogger().removeHandler(self.complaints)
        if self.postgres:
            self.rival.close()
            self._hurry(on=False)
        self.loop.close()
        self.eyes.close()

    def empty(self) -> None:
        gates.clear()
        self.complaints.lines.clear()
        for table in TABLES[connection.vendor]:
            self.eyes.execute(f"DELETE FROM {table}")

    def asked(self, thread_id: UUID) -> tuple[set[tuple[str, str]], bool]:
        """The interrupts in a thread's checkpoints, and whether steps are left."""

        async def read() -> Any:
            graph = copy.copy(life)
            graph.checkpointer = self.loop.storage.reader()
            return await graph.aget_state({"configurable": {"thread_id": str(thread_id)}})

        state = self.loop.run(read())
        return {(each.id, each.value["question"]) for each in state.interrupts}, bool(state.next)
