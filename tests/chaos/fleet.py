"""The processes under test and their PostgreSQL: starts, faults, replacements, exits."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import httpx
import psycopg

from tests.chaos.members import Member
from tests.chaos.recoveries import Interval, Loss, Switches, idle_times
from tests.processes.databases import Postgres, migrate
from tests.processes.harness import HEALTH, SERVE, WORKER, Site, free_port
from tests.processes.proxy import Proxy
from tests.support.postgres import Server

COMMANDS = {"serve": SERVE, "front": (*SERVE, "--no-execute"), "worker": WORKER}
#: Long enough that the retries of a checkpoint write, two thirds of it, last until the database is back.
LEASE, DRAIN = 12.0, 8.0
#: The time beyond the drain's that a loaded machine needs for the interpreter's exit.
EXIT = 10.0
START = 60.0
#: Its users.
AUTH = "tests.chaos.auth:auth"
RUN_SETTINGS = {"LEASE": LEASE, "MAX_ATTEMPTS": 1000, "STREAM_HEARTBEAT": 1.0, "POLL": 0.5}
#: A process that starts while the database is down reports that and exits with 1.
NO_DATABASE = 1
#: The database's name among the switches.
DATABASE = "database"
RUNNING_OF = """SELECT run.id, run.attempt FROM runs_run run JOIN runs_worker worker ON worker.id = run.worker_id
    WHERE worker.pid = {pid} AND worker.stopped_at IS NULL AND run.status = 'running'"""


class Fleet:
    """Keeps one process in each slot. The last slot reaches the database through a proxy."""

    def __init__(self, folder: Path, server: Server, kinds: list[str], graphs: dict[str, str]) -> None:
        cache = folder / "modules"
        cache.mkdir()
        self.folder, self.server, self.kinds = folder, server, kinds
        migrate(folder, cache, DATABASE_URL=server.url)
        self.site = Site(folder, Postgres(server.url), cache=cache, graphs=graphs)
        known = {"graphs": graphs, "auth": {"path": AUTH}}
        (folder / "langgraph.json").write_text(json.dumps(known))
        self.proxy = Proxy(server.port)
        self.violations: list[str] = []
        self.lost: list[Loss] = []
        #: When the database and each slot were down.
        self.switches = Switches()
        #: Whether the last slot's process cannot reach the database.
        self.cut_off = False
        #: When the database last had a fault, and whether it is down now.
        self.disturbed, self.away = 0.0, False
        self.starts = 0
        self._lock = threading.Lock()
        self._leaving: list[Member] = []
        self.members = [self._start(kind, slot, len(kinds)) for slot, kind in enumerate(kinds)]

    def _start(self, kind: str, slot: int, slots: int) -> Member:
        database = self.server.url
        if slot == slots - 1:
            database = database.replace(str(self.server.port), str(self.proxy.port))
        process = self.site.spawn(
            *COMMANDS[kind],
            port=free_port(),
            run_settings=RUN_SETTINGS,
            DATABASE_URL=database,
            DRAIN_SECONDS=str(DRAIN),
        )
        self.starts += 1
        self.switches.note(str(slot), up=False, when=time.time())
        return Member(kind, process, time.monotonic())

    def ready(self) -> None:
        """Wait until all processes have started; replace those that fail to."""
        deadline = time.monotonic() + START
        while waiting := [member for member in self.members if not self._is_ready(member)]:
            self.look()
            if time.monotonic() > deadline:
                names = [member.process.log.name for member in waiting]
                raise AssertionError(f"{', '.join(names)} did not start within {START:g} s")
            time.sleep(0.05)

    @staticmethod
    def _is_ready(member: Member) -> bool:
        if member.kind == "worker":
            if not (said := HEALTH.search(member.process.output)):
                return False
            member.process.url = said.group(1)
        try:
            return httpx.get(member.process.url + "/ok", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def urls(self) -> list[str]:
        """The addresses of processes that were not killed.

        One may be paused, starting or stopping.
        """
        return [each.process.url for each in self.members if each.kind != "worker"]

    def idle(self) -> list[Interval]:
        """When the database or every executor was down."""
        executors = [str(slot) for slot, kind in enumerate(self.kinds) if kind != "front"]
        return idle_times(self.switches, executors=executors, database=DATABASE)

    def _note(self) -> None:
        """Note which slots are down."""
        for slot, member in enumerate(self.members):
            member.started = member.started or member.has_started()
            up = member.started and not member.paused and not self._is_cut_off(slot)
            self.switches.note(str(slot), up=up, when=time.time())

    def _is_cut_off(self, slot: int) -> bool:
        return self.cut_off and slot == len(self.members) - 1

    # --- faults

    def replace(self, slot: int) -> Member:
        """Start another process in a slot; return the previous one."""
        member = self.members[slot]
        self.members[slot] = self._start(member.kind, slot, len(self.members))
        return member

    def kill(self, slot: int) -> None:
        member = self.members[slot]
        running = self._running(member)
        when = time.time()
        member.process.kill()
        cut_off = self._is_cut_off(slot)
        self.lost += [Loss(run_id, attempt, when, cut_off) for run_id, attempt in running]
        self.replace(slot)

    def _running(self, member: Member) -> list[tuple[str, int]]:
        try:
            rows = self.site.database.rows(RUNNING_OF.format(pid=member.process.pid))
        except psycopg.OperationalError:
            return []
        return [(row["id"], row["attempt"]) for row in rows]

    def end(self, slot: int) -> None:
        """Stop the process of a slot and start another one meanwhile, like a deployment."""
        member = self.members[slot]
        member.deadline = time.monotonic() + DRAIN + EXIT
        member.process.send(signal.SIGTERM)
        self.replace(slot)
        self._leaving.append(member)

    def pause(self, slot: int) -> Member:
        member = self.members[slot]
        member.paused = True
        self._note()
        member.process.pause()
        return member

    def resume(self, member: Member) -> None:
        member.paused = False
        if member.process.alive:
            member.process.resume()
        self._note()

    def partition(self) -> None:
        """Block all traffic between the last slot's process and the database."""
        self.cut_off, self.disturbed = True, time.monotonic()
        self._note()
        self.proxy.silence()

    def heal(self, *, reset: bool) -> None:
        self.proxy.heal(reset=reset)
        self.cut_off, self.disturbed = False, time.monotonic()
        self._note()

    def restart_database(self, mode: str, pause: float) -> None:
        """Stop the database, and start it after a pause in seconds."""
        self.away = True
        self.switches.note(DATABASE, up=False, when=time.time())
        try:
            self.server.stop(mode)
            time.sleep(pause)
            self.server.start()
        finally:
            self.away, self.disturbed = False, time.monotonic()
            self.switches.note(DATABASE, up=True, when=time.time())

    def end_backends(self, which: str) -> int:
        """End the database connections that match a condition on pg_stat_activity.

        Return their number.
        """
        self.disturbed = time.monotonic()
        rows = self.site.database.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            f"AND pid <> pg_backend_pid() AND ({which})"
        )
        return len(rows)

    # --- accounting

    def look(self) -> None:
        """Note which processes are up.

        Report and replace those that ended on their own or did not stop.
        """
        self._note()
        for slot, member in enumerate(self.members):
            if member.process.alive or member.paused:
                continue
            code = member.process.returncode
            starting = self.disturbed > member.began or self.away
            if not (code == NO_DATABASE and starting and not member.has_started()):
                self.violations.append(
                    f"{member.process.log.name} ({member.kind}) ended by itself with {code}"
                )
            self.replace(slot)
        for member in list(self._leaving):
            name = f"{member.process.log.name} ({member.kind})"
            if not member.process.alive:
                self._leaving.remove(member)
                self._account(member, name)
            elif time.monotonic() > member.deadline:
                self._leaving.remove(member)
                self.violations.append(f"{name} did not end within {DRAIN + EXIT:g} s of its SIGTERM")
                member.process.kill()

    def _account(self, member: Member, name: str) -> None:
        code = member.process.returncode
        # One that was stopped before it had started may end by the signal itself.
        if code != 0 and not (code == -signal.SIGTERM and not member.has_started()):
            self.violations.append(f"{name} ended with {code} after its SIGTERM")

    def stop(self) -> None:
        """Stop all processes, and wait for their exits."""
        for slot, member in enumerate(self.members):
            member.deadline = time.monotonic() + DRAIN + EXIT
            member.process.send(signal.SIGTERM)
            self._leaving.append(self.members[slot])
        self.members = []
        while self._leaving:
            self.look()
            time.sleep(0.05)

    def close(self) -> None:
        for process in self.site.processes:
            if process.alive:
                process.kill()
        self.site.close()
        self.proxy.close()
