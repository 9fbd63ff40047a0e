"""Every command on a database that is absent or not migrated: one sentence, exit code 1; and wrong usage: 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Agents
from tests.support.postgres import free_port

ROOT = Path(__file__).resolve().parents[4]
ID = "01a21fef-22ae-758f-91f5-8ee17cdf2d98"
COMMANDS = [
    ("runs", "list"), ("runs", "show", ID), ("runs", "tail", ID), ("runs", "cancel", ID), ("runs", "retry", ID),
    ("runs", "requeue", ID), ("runs", "answer", ID, "1"), ("runs", "fork", ID, "--at", ID), ("runs", "export", ID),
    ("runs", "import", "-", "--user", "ada"), ("threads", "list"), ("threads", "show", ID), ("threads", "state", ID),
    ("threads", "history", ID), ("threads", "delete", ID, "--yes"), ("workers", "list"), ("workers", "drain", "--all"),
    ("queues", "list"), ("queues", "pause", "default"), ("queues", "resume", "default"), ("users", "export", "ada"),
    ("users", "delete", "ada", "--yes"), ("doctor",), ("chat", "--once", "hello"),
]  # fmt: skip
#: Runs all commands in one process, because Django's start takes a second.
ALL = """
import contextlib, io, json, sys
import django; django.setup()
from runs.management.commands.agents import Command
found = []
for arguments in json.loads(sys.argv[1]):
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            Command(stdout=out, stderr=err).run_from_argv(["manage.py", "agents", *arguments])
        except SystemExit as exit_:
            code = exit_.code
    found.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""


def every(url: str, data: Path) -> list[tuple[tuple[str, ...], Any]]:
    import json

    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "deerflow_site.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", ALL, json.dumps(COMMANDS)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return list(zip(COMMANDS, json.loads(done.stdout), strict=True))


def check(found: list[tuple[tuple[str, ...], Any]], sentence: str) -> None:
    for arguments, (code, out, err) in found:
        assert code == 1, arguments
        assert sentence in (out if arguments == ("doctor",) else err), (arguments, out, err)
        assert "Traceback" not in err, (arguments, err)
        if arguments != ("doctor",):
            assert (out, err.count("\n")) == ("", 1), (arguments, out, err)


@pytest.mark.sqlite
def test_an_absent_database_is_one_sentence_and_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "absent.sqlite3"
    check(every(f"sqlite:///{path}", tmp_path), "There is no database")
    assert not path.exists()


@pytest.mark.sqlite
def test_a_database_without_migrations_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite3"
    path.touch()
    check(every(f"sqlite:///{path}", tmp_path), "The database is not migrated")


@pytest.mark.postgresql
def test_an_unreachable_server_is_one_sentence(tmp_path: Path) -> None:
    check(
        every(f"postgresql://nobody@127.0.0.1:{free_port()}/none", tmp_path), "The database cannot be reached"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("runs",), ("runs", "destroy"), ("runs", "show"), ("runs", "list", "--status", "done"),
        ("runs", "list", "--since", "yesterday"), ("runs", "list", "--limit", "0"), ("runs", "tail", ID, "--since", "x"),
        ("runs", "answer", ID, "not json"), ("workers", "drain", "--timeout", "-1", "--all"), ("queues", "pause", "a b"),
        ("graphs", "draw", "steps", "--format", "png"),
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_2(agents: Agents, arguments: tuple[str, ...]) -> None:
    assert agents(*arguments).code == 2
    assert agents.out == ""
    assert "Traceback" not in agents.err


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "cancel"),
        ("runs", "cancel", ID, "--all-matching"),
        ("workers", "drain"),
        ("workers", "drain", "x", "--all"),
    ],
)
def test_what_contradicts_itself_exits_with_2(agents: Agents, arguments: tuple[str, ...]) -> None:
    assert agents(*arguments).code == 2
    assert agents.err.count("\n") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("runs", "show", ID), f"There is no run '{ID}'."),
        (("runs", "show", "xyz"), "'xyz' is no id of a run: give all of it, or at least 4 digits."),
        (("threads", "show", "abcd"), "There is no thread 'abcd'."),
        (("users", "export", "nobody"), "There is no user 'nobody'."),
        (("graphs", "draw", "nothing"), "Graph 'nothing' not found."),
        (("runs", "import", "/nowhere", "--user", "nobody"), "There is no user 'nobody'."),
        (("workers", "drain", "host:1"), "'host:1' is the name of no live worker."),
    ],
)
def test_what_is_not_there_is_one_sentence(agents: Agents, arguments: tuple[str, ...], sentence: str) -> None:
    assert agents(*arguments).code == 1
    assert sentence in agents.err
    assert (agents.out, agents.err.count("\n")) == ("", 1)
