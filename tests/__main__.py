"""Run the whole test suite on SQLite and on PostgreSQL, and a minute of chaos.

Arguments go to pytest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.support.postgres import server


class Given:
    """An existing PostgreSQL server."""

    def __init__(self, url: str) -> None:
        self.url = url


#: Tests that use no database, or always SQLite, and run once.
WITHOUT_DATABASE = (
    "tests/clients/test_javascript.py",
    "tests/deerflow_site",
    "tests/house",
    "tests/processes/test_docs.py",
    "tests/reloads",
    "tests/scenarios/test_documentation.py",
    "tests/stories",
    "tests/runs/graphs",
    "tests/runs/protocols",
    "tests/runs/server",
    "tests/chaos",
    "tests/runs/checks/test_configuration.py",
    "tests/runs/requests/test_checkpoint.py",
    "tests/runs/requests/test_command.py",
    "tests/runs/requests/test_run.py",
    "tests/runs/test_encoding.py",
    "tests/runs/process/test_watchdog.py",
    "tests/processes/test_logs.py",
    "tests/processes/test_proxy.py",
    "tests/threads/checkpoints/test_reads.py",
)


def run(label: str, arguments: list[str], **environment: str) -> int:
    """Run the tests; if only a few failed, repeat each of them alone.

    Many of them require real processes to react within a time. Failures beside other tests are
    reported in full even if the repetition passes.
    """
    print(f"\n=== {label} ===", flush=True)
    cache = Path(".pytest_cache") / label
    shutil.rmtree(cache, ignore_errors=True)
    workers = ["-n", os.environ.get("TEST_WORKERS", WORKERS), "--dist", "worksteal"]
    status = pytest([*workers, *arguments], cache, environment)
    failed = failures(cache)
    if status == 1 and 0 < len(failed) <= FEW:
        print(f"\n=== {label}: repeated, alone: {', '.join(failed)} ===", flush=True)
        status = pytest(["-n", "0", "--last-failed", *arguments], cache, environment)
    return status


def pytest(arguments: list[str], cache: Path, environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
    kept = {key: value for key, value in os.environ.items() if key not in {*OWN_SETTINGS, UNCOMPILED}}
    return subprocess.run(command, env={**kept, **environment}).returncode


def failures(cache: Path) -> list[str]:
    """The tests that failed in the last run."""
    try:
        return sorted(json.loads((cache / "v/cache/lastfailed").read_text()))
    except FileNotFoundError:
        return []


def chaos() -> int:
    print(f"\n=== chaos, {CHAOS_SECONDS} s ===", flush=True)
    return subprocess.run([sys.executable, "-m", "tests.chaos", "--seconds", str(CHAOS_SECONDS)]).returncode


#: Parallel tests. Many of them wait for a lease, a timeout or a process more than they compute.
WORKERS = "4"

#: With more failures than this, none is repeated.
FEW = 8

#: The length of the suite's chaos test; `make chaos` runs longer.
CHAOS_SECONDS = 60

#: Hundreds of servers are started; without it each would compile every module.
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"

#: Settings of a site that would change the tests.
OWN_SETTINGS = {
    "DATABASE_URL", "DATA_DIR", "LANGGRAPH_JSON", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "AGENT_MODEL",
    "RUN_CONCURRENCY", "DRAIN_SECONDS", "RUN_RECOVERY", "ON_SHUTDOWN", "LOG_LEVEL", "DJANGO_SETTINGS_MODULE",
    "DEERFLOW_DEV", "DEERFLOW_ENV_FILE",
    "USER_CONCURRENCY", "TOTAL_CONCURRENCY", "EVENT_RETENTION", "RUN_RETENTION", "THREAD_TTL", "THREAD_TTL_STRATEGY",
}  # fmt: skip


def postgres() -> AbstractContextManager[object]:
    url = os.environ.get("TEST_DATABASE_URL")
    return nullcontext(Given(url)) if url else server(fsync=False)


def main(arguments: list[str]) -> int:
    failed = run("SQLite", arguments)
    if os.environ.get("TEST_DATABASES") == "sqlite":
        return 1 if failed else 0
    try:
        with postgres() as database:
            without = [f"--ignore={path}" for path in WITHOUT_DATABASE]
            failed |= run("PostgreSQL", [*without, *arguments], DATABASE_URL=database.url)  # type: ignore[attr-defined]
        if not arguments:
            failed |= chaos()
    except LookupError as missing:
        print(f"\nSKIPPED on PostgreSQL: {missing}.", flush=True)
        if os.environ.get("CI"):
            failed |= 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
