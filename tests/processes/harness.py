"""A site for each test: real server processes on a separate database, and their clients."""

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
#: A worker's log message at its start.
HEALTH = re.compile(r"Health on (http://\S+?)/ok")
#: The seconds that a process may take to start, because several start at once on a busy machine.
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
    """The time limit here for something that takes `seconds` on an idle machine.

    The server's speed can only be tested there; that nothing is lost, stuck or doubled holds
    anywhere.
    """
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def free_port() -> int:
    """An unused port, outside of the kernel's range for outgoing connections."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def moment(written: datetime | str) -> float:
    """A time from the database, in seconds since the epoch."""
    if isinstance(written, str):
        written = datetime.fromisoformat(written).replace(tzinfo=UTC)
    return written.timestamp()


class Process:
    """One server process; its output goes to a file."""

    def __init__(
        self, command: tuple[str, ...], *, port: int, log: Path, env: dict[str, str], prefix: str = ""
    ) -> None:
        self.url = f"http://127.0.0.1:{port}{prefix}"
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
        """Its exit code after its end; for a signal, the negative number."""
        return self._process.poll()

    def pause(self) -> None:
        """Freeze it, like a machine that sleeps; it does not notice."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def announced(self) -> Process:
        """Wait until it reports its health endpoint, then until that is healthy."""
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
        """The end of its output, for the report of a failed test."""
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
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()


class Site:
    """A database, a folder, and the server processes that a test starts on them."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        *,
        cache: Path,
        graphs: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
        prefix: str = "",
    ) -> None:
        self.folder, self.database = folder, database
        #: The path below which the site has the API.
        self.prefix = prefix
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
        process = Process(
            command or SERVE, port=port or self.port, log=log, env={**settings, **env}, prefix=self.prefix
        )
        self.processes.append(process)
        return process

    def start(self, *command: str, **options: Any) -> Process:
        """Start a server process, and wait until it serves."""
        return self.spawn(*command, **options).ready()

    def worker(self, *arguments: str, **options: Any) -> Process:
        """Start a process that executes runs and does not serve, and wait until it is ready."""
        return self.spawn(*WORKER, *arguments, **options).announced()

    def several(self, count: int, *command: str, **options: Any) -> list[Process]:
        """Start several server processes, each on its own port, and wait until all serve."""
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
        """Create a run, on a new thread by default."""
        client = self.client(fields.pop("process", None))
        thread_id = thread or client.threads.create()["thread_id"]
        given = None if fields.get("command") else {"log": [], **(input or {})}
        fields.setdefault("stream_mode", ["values", "updates"])
        return dict(client.runs.create(thread_id, graph, input=given, **fields))

    def open_gate(self) -> None:
        """Let waiting nodes continue."""
        self._gate.touch()

    # --- observations

    def executions(self, run: Row) -> Counter[str]:
        """How often each node of a run began."""
        # Imported here because it imports models, and not every user of this module has set up Django.
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
        """A run's row."""
        return self._one("runs_run", run["run_id"])

    def thread(self, run: Row) -> Row:
        return self._one("threads_thread", run["thread_id"])

    def _one(self, table: str, id: str) -> Row:
        [row] = self.database.rows(f"SELECT * FROM {table} WHERE id = '{self.database.key(id)}'")
        return row

    def values(self, run: Row) -> Any:
        """The values in the row of a run's thread."""
        values = self.thread(run)["values"]
        return json.loads(values) if isinstance(values, str) else values

    def finish(self, run: Row, *, timeout: float = 30) -> Row:
        """Wait until a run is terminal."""
        eventually(lambda: self.row(run)["status"] in TERMINAL, timeout=timeout, what="the run ends")
        return self.row(run)

    def events(self, run: Row) -> list[Row]:
        """A run's events in order, without those of the other protocol."""
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
