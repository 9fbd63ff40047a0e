"""The two compared processes: the real server and the bare loop, each with its own database."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.__main__ import OWN_SETTINGS, postgres
from tests.bench import graphs
from tests.bench.loops import Tally, cpu_seconds

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def postgres_databases(*names: str) -> Iterator[list[str]]:
    """The URLs of new databases, on a temporary server or TEST_DATABASE_URL's.

    Raises LookupError.
    """
    import psycopg

    with postgres() as server:
        url: str = server.url  # type: ignore[attr-defined]
        databases = [f"bench_{os.getpid()}_{name}" for name in names]
        with psycopg.connect(url, autocommit=True) as connection:
            for name in databases:
                connection.execute(f"CREATE DATABASE {name}")
            try:
                yield [urlsplit(url)._replace(path=f"/{name}").geturl() for name in databases]
            finally:
                for name in databases:
                    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def environment(folder: Path, url: str | None, **changes: str) -> dict[str, str]:
    """A site's environment with exactly these settings."""
    own = {*OWN_SETTINGS, "TRACE_FILE"}
    configuration = folder / "langgraph.json"
    configuration.write_text(
        json.dumps({"graphs": {name: f"tests.bench.graphs:{name}" for name in graphs.NAMES}})
    )
    return {
        **{key: value for key, value in os.environ.items() if key not in own},
        "DATA_DIR": str(folder),
        "LANGGRAPH_JSON": str(configuration),
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "tests.bench.settings",
        **({"DATABASE_URL": url} if url else {}),
        **changes,
    }


class Child:
    """A Python process that prints a line when it is ready."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log

    @classmethod
    async def start(cls, *arguments: str, log: Path, environment: dict[str, str] | None = None) -> Self:
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                cwd=ROOT,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    async def line(self, timeout: float = 180) -> str:
        """The next line of its output. Raises RuntimeError, with the end of its log, if it has ended."""
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"A process has ended:\n{self.log.read_text()[-4000:]}")
        return line.decode().strip()

    async def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; return its exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(40):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Server(Child):
    """`manage.py serve`."""

    port: int
    #: Its site's, for other processes on its database.
    environment: dict[str, str]


@asynccontextmanager
async def serving(
    folder: Path, url: str | None, *, python: tuple[str, ...] = (), **changes: str
) -> AsyncIterator[Server]:
    """A server on a free port, on a database that is migrated first.

    Args:
        python: Options of the interpreter, before `manage.py`.
        changes: Environment of the server.
    """
    (folder / "static").mkdir(parents=True, exist_ok=True)
    site, log = environment(folder, url, **changes), folder / "server.log"
    migration = await Child.start("manage.py", "migrate", "--verbosity", "0", log=log, environment=site)
    if await migration.ended():
        raise RuntimeError(f"The migration failed:\n{log.read_text()[-4000:]}")
    server = await Server.start(*python, "manage.py", "serve", "--port", "0", log=log, environment=site)
    server.environment = {**site, "DJANGO_SETTINGS_MODULE": "deerflow_site.settings"}
    try:
        server.port = int((await server.line()).rpartition(":")[2])
        yield server
    finally:
        await server.stop()
        if errors := log.read_text():
            print(f"The server's log ends with:\n{errors[-2000:]}", file=sys.stderr)


class Bare(Child):
    """The bare loop."""

    async def measure(self, order: dict[str, Any]) -> tuple[Tally, float]:
        """Execute an order of `tests.bench.bare`.

        Return the tally and the processor time in seconds.
        """
        await self.send(json.dumps(order))
        answer = json.loads(await self.line())
        return Tally(answer["count"], answer["seconds"]), answer["cpu"]


@asynccontextmanager
async def bare_loop(folder: Path, url: str | None) -> AsyncIterator[Bare]:
    """The bare loop in a process of its own, on its own database."""
    database = url or str(folder / "bare.sqlite3")
    bare = await Bare.start("-m", "tests.bench.bare", database, log=folder / "bare.log")
    try:
        await bare.line()
        yield bare
    finally:
        await bare.stop()
