"""A site of its own for a test: real server processes on a database of their own, and clients that talk to them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

from tests.processes import logs
from tests.processes.databases import ROOT, Database, Row, environment
from tests.processes.forks import Child, forks

GRAPHS = {
    **{
        name: f"tests.support.graphs:{name}"
        for name in ("steps", "parallel", "questions", "failing", "stubborn", "talking", "sleeping")
    },
    **{name: f"tests.processes.graphs:{name}" for name in ("gated", "gated_end", "asking", "poison")},
    **{
        name: f"tests.processes.loads:{name}"
        for name in ("blocking", "bulky", "deep", "flood", "synchronous")
    },
}
TERMINAL = {"success", "error", "timeout", "interrupted"}
SERVE = ("manage.py", "serve", "--port", "{port}")
WORKER = ("manage.py", "run_worker", "--health-port", "0")
#: What a worker says when it has started.
HEALTH = re.compile(r"Health on (http://\S+?)/ok")
#: Seconds that a process may take to start; several start at once, on a machine that does other things too.
STARTED_WITHIN = 80
STEPS = [f"s{number}" for number in range(10)]


def eventually(condition: Callable[[], Any], *, timeout: float = 20, what: str = "") -> Any:
    """Wait until a condition is true; return what it returned."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"Not within {timeout:g} s: {what or condition}"
        time.sleep(0.005)
    return found


def within(seconds: float) -> float:
    """How long something may take that takes at most `seconds` on a machine with a processor for everybody who wants one.

    How quick the server is, is only to be seen there; that nothing is lost, stuck or doubled holds on any.
    """
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def free_port() -> int:
    """A port that nobody listens on, outside of those that the kernel gives to outgoing connections."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def moment(written: datetime | str) -> float:
    """A time of the database, in seconds of the clock."""
    if isinstance(written, str):
        written = datetime.fromisoformat(written).replace(tzinfo=UTC)
    return written.timestamp()


class Process:
    """One server process; what it writes goes to a file."""

    def __init__(self, command: tuple[str, ...], *, port: int, log: Path, env: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        arguments = [each.format(port=port) for each in command]
        log.touch()
        if arguments[0] == "manage.py":
            self._process: Child = forks.spawn(arguments, env=env, log=log)
            return
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, once it has ended; a signal's number with a minus."""
        return self._process.poll()

    def pause(self) -> None:
        """Stop it where it is, as a machine does that sleeps; it does not notice."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def announced(self) -> Process:
        """Wait until it says where its health is asked for, and then until it is well."""
        line = eventually(
            lambda: HEALTH.search(self.output) or not self.alive,
            timeout=STARTED_WITHIN,
            what="it says where it is",
        )
        assert self.alive, f"The process ended with {self.returncode}:\n{self.tail}"
        self.url = line.group(1)
        return self.ready()

    def ready(self) -> Process:
        """Wait until it serves."""
        deadline = time.monotonic() + STARTED_WITHIN
        with httpx.Client(trust_env=False) as client:
            while True:
                assert self.alive, f"The server ended with {self.returncode}:\n{self.tail}"
                assert time.monotonic() < deadline, f"The server does not answer:\n{self.tail}"
                try:
                    if client.get(self.url + "/ok", timeout=20).status_code == 200:
                        self.ready_at = time.time()
                        return self
                except httpx.TransportError:
                    pass
                time.sleep(0.02)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def tail(self) -> str:
        """The end of what it wrote, for a failed test to show."""
        return logs.tail(self.output)

    def send(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = 30) -> int:
        """Its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The server did not end within {timeout:g} s:\n{self.tail}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.send(number)
        return self.wait()

    def kill(self) -> None:
        """End it without a chance to do anything."""
        self._process.kill()
        self._process.wait()


class Site:
    """A database and a folder, and the server processes that a test starts on them, one after the other or at once."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        *,
        cache: Path,
        graphs: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.database = folder, database
        self.port = free_port()
        self.processes: list[Process] = []
        self._cache = cache
        self._env = env or {}
        self._trace = folder / "trace"
        self._gate = folder / "gate"
        (folder / "langgraph.json").write_text(json.dumps({"graphs": graphs or GRAPHS}))
        self._clients: dict[str, SyncLangGraphClient] = {}

    # --- processes

    def spawn(
        self, *command: str, port: int | None = None, run_settings: dict[str, Any] | None = None, **env: str
    ) -> Process:
        """Start a server process without waiting for it."""
        log = self.folder / f"log-{len(self.processes)}"
        settings = environment(
            self._cache,
            DATA_DIR=str(self.folder),
            LANGGRAPH_JSON=str(self.folder / "langgraph.json"),
            TRACE_FILE=str(self._trace),
            GATE_FILE=str(self._gate),
            RUN_SETTINGS=json.dumps(run_settings or {}),
            **self.database.settings,
            **self._env,
        )
        process = Process(command or SERVE, port=port or self.port, log=log, env={**settings, **env})
        self.processes.append(process)
        return process

    def start(self, *command: str, **options: Any) -> Process:
        """Start a server process, and wait until it serves."""
        return self.spawn(*command, **options).ready()

    def worker(self, *arguments: str, **options: Any) -> Process:
        """Start a process that executes runs and serves nobody, and wait until it does."""
        return self.spawn(*WORKER, *arguments, **options).announced()

    def several(self, count: int, *command: str, **options: Any) -> list[Process]:
        """Start so many server processes at once, each on a port of its own, and wait until all of them serve."""
        spawned = [self.spawn(*command, port=free_port(), **options) for _ in range(count)]
        return [process.ready() for process in spawned]

    @property
    def process(self) -> Process:
        return self.processes[-1]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        for client in self._clients.values():
            client.close()

    # --- clients

    def client(self, process: Process | None = None) -> SyncLangGraphClient:
        url = (process or self.process).url
        if url not in self._clients:
            self._clients[url] = get_sync_client(url=url, api_key="none", timeout=30)
        return self._clients[url]

    def create(self, graph: str, input: Any = None, *, thread: str | None = None, **fields: Any) -> Row:
        """Create a run, on a new thread if none is given."""
        client = self.client(fields.pop("process", None))
        thread_id = thread or client.threads.create()["thread_id"]
        given = None if fields.get("command") else {"log": [], **(input or {})}
        fields.setdefault("stream_mode", ["values", "updates"])
        return dict(client.runs.create(thread_id, graph, input=given, **fields))

    def open_gate(self) -> None:
        """Let the nodes that wait go on."""
        self._gate.touch()

    # --- what happens

    def executions(self, run: Row) -> Counter[str]:
        """How often each node of a run began."""
        # Here, for it imports models: not everybody who starts servers has set up Django.
        from tests.support.driving import executions

        return executions(self._trace, run["run_id"])

    def executed(self, run: Row) -> list[str]:
        """The nodes of a run that began, in order."""
        lines = self._trace.read_text().splitlines() if self._trace.exists() else []
        return [name for owner, name in map(str.split, lines) if owner == run["run_id"]]

    def executing(self, run: Row, node: str, *, times: int = 1) -> None:
        """Wait until a node of a run has begun."""
        eventually(lambda: self.executions(run)[node] >= times, what=f"{node} executes")

    def row(self, run: Row) -> Row:
        """A run as the database has it."""
        return self._one("runs_run", run["run_id"])

    def thread(self, run: Row) -> Row:
        return self._one("threads_thread", run["thread_id"])

    def _one(self, table: str, id: str) -> Row:
        [row] = self.database.rows(f"SELECT * FROM {table} WHERE id = '{self.database.key(id)}'")
        return row

    def values(self, run: Row) -> Any:
        """The state of a run's thread, as the thread has it."""
        values = self.thread(run)["values"]
        return json.loads(values) if isinstance(values, str) else values

    def finish(self, run: Row, *, timeout: float = 30) -> Row:
        """Wait until a run is terminal."""
        eventually(lambda: self.row(run)["status"] in TERMINAL, timeout=timeout, what="the run ends")
        return self.row(run)

    def events(self, run: Row) -> list[Row]:
        """A run's log, in order, as readers of its stream have it: without what is there for the other protocol."""
        key = self.database.key(run["run_id"])
        return self.database.rows(
            f"SELECT * FROM runs_runevent WHERE run_id = '{key}' AND event <> '+' ORDER BY epoch, seq"
        )

    def attempts(self, run: Row) -> dict[int, float]:
        """When each attempt of a run began, in seconds of the clock."""
        began = [row for row in self.events(run) if row["event"] == "metadata"]
        return {json.loads(row["data"])["attempt"]: moment(row["created_at"]) for row in began}

    @property
    def output(self) -> str:
        return "\n".join(process.output for process in self.processes)
