"""Every command on a database that is absent or not migrated: one sentence, exit code 1; and wrong usage: 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runs.management.commands.agents import Command
from tests.support.commands import Agents
from tests.support.postgres import free_port

ROOT = Path(__file__).resolve().parents[4]
ID = "01a21fef-22ae-758f-91f5-8ee17cdf2d98"
DOCTOR = ("agents", "doctor")
#: The required arguments of verbs that are no ids.
GIVEN = {"answer": "1", "file": "-", "user": "ada"}
#: The commands beside `agents`; servers wait for a database that cannot be reached.
OTHERS = [
    ("create_api_key", "ada"), ("list_api_keys",), ("revoke_api_key", "dfk_x"), ("index_threads",), ("prune",),
    ("reconcile_runs",),
]  # fmt: skip
SERVERS = [("serve",), ("run_worker",), ("runserver", "--noreload")]
#: Runs all commands in one process, because Django's start takes a second.
ALL = """
import contextlib, io, json, sys
import django; django.setup()
from django.core.management import load_command_class
found = []
for name, *arguments in json.loads(sys.argv[1]):
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            load_command_class("runs", name).run_from_argv(["manage.py", name, *arguments])
        except SystemExit as exit_:
            code = exit_.code
    found.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""


def verbs(parser: ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Each verb that needs a database, with the arguments that it requires."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for name, found in action.choices.items():
                yield from verbs(found, (*words, name))
            return
        if action.required and action.nargs not in ("*", "?"):
            words = (*words, *action.option_strings[:1], GIVEN.get(action.dest, ID))
    if parser.get_default("needs_database") is not False or words == DOCTOR[1:]:
        yield words


COMMANDS = [*(("agents", *words) for words in verbs(Command().create_parser("manage.py", "agents"))), *OTHERS]


def every(url: str, data: Path, commands: list[tuple[str, ...]]) -> list[tuple[tuple[str, ...], Any]]:
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "deerflow_site.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", ALL, json.dumps(commands)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return list(zip(commands, json.loads(done.stdout), strict=True))


def check(found: list[tuple[tuple[str, ...], Any]], sentence: str) -> None:
    for arguments, (code, out, err) in found:
        assert code == 1, arguments
        assert sentence in (out if arguments == DOCTOR else err), (arguments, out, err)
        assert "Traceback" not in err, (arguments, err)
        if arguments != DOCTOR:
            assert (out, err.count("\n")) == ("", 1), (arguments, out, err)


def test_every_command_that_needs_a_database_is_tried_here() -> None:
    there = {path.stem for path in (ROOT / "runs/management/commands").glob("[!_]*.py")}
    tried = {name for name, *_ in [*COMMANDS, *SERVERS]}
    assert there - tried == {"migrate", "openapi", "settings_reference"}


@pytest.mark.sqlite
def test_an_absent_database_is_one_sentence_and_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "absent.sqlite3"
    check(every(f"sqlite:///{path}", tmp_path, [*COMMANDS, *SERVERS]), "There is no database")
    assert not path.exists()


@pytest.mark.sqlite
def test_a_database_without_migrations_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite3"
    path.touch()
    check(every(f"sqlite:///{path}", tmp_path, [*COMMANDS, *SERVERS]), "The database is not migrated")


@pytest.mark.postgresql
def test_an_unreachable_server_is_one_sentence(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    check(every(url, tmp_path, COMMANDS), "The database cannot be reached")


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
