"""`deerflow dev` with bad input: one sentence, exit code 1, and nothing is left."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deerflow_site.project import dependencies
from tests.reloads.dev import Dev

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

AGENT = """
from langgraph.graph import START, MessagesState, StateGraph
builder = StateGraph(MessagesState)
builder.add_node("a", lambda state: {})
builder.add_edge(START, "a")
graph = builder.compile()

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""


def write(folder: Path, code: str = AGENT, **content: Any) -> Path:
    folder.mkdir()
    (folder / "agent.py").write_text(code)
    content = {"graphs": {"agent": "./agent.py:graph"}, **content}
    (folder / "langgraph.json").write_text(json.dumps(content))
    return folder


def refusal(folder: Path, *options: str) -> list[str]:
    """The lines that the command prints before it exits with 1."""
    with Dev(folder, options=options) as dev:
        assert dev.process.wait(200) == 1, dev.output
    assert "Traceback" not in dev.output
    assert not list(folder.glob(".deerflow/db.sqlite3*-wal")), "the database is not left open"
    return dev.output.splitlines()


@pytest.mark.parametrize("content, said", [
    ({"graphz": {}}, "Error: langgraph.json: 'graphz' is not a known key; known are "),
    ({"dependencies": ["no-such-package"]}, "Error: langgraph.json: 'dependencies' need no-such-package: install it with `"),
    ({"env": ".env"}, "Error: langgraph.json: 'env' names .env, which cannot be read: No such file or directory."),
])  # fmt: skip
def test_a_wrong_file(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    [line] = refusal(write(tmp_path / "project", **content))
    assert line.startswith(said)
    assert not (tmp_path / "project" / ".deerflow").exists()


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    assert refusal(tmp_path / "project") == [f"Error: There is no {tmp_path}/project/langgraph.json."]


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [line] = refusal(write(tmp_path / "project"), "--port", str(port))
    assert line == (
        f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another port with --port."
    )
    assert not (tmp_path / "project" / ".deerflow").exists()


@pytest.mark.parametrize("code, content, said", [
    (
        "import no_such_module",
        {},
        "✗ langgraph.json: 'graphs.agent' (./agent.py:graph) cannot be loaded: ModuleNotFoundError: No module named "
        "'no_such_module' ({folder}/agent.py:1). Add its package to 'dependencies', and install it: `{pip} no-such-module`.",
    ),
    (AGENT, {"http": {"app": "./agent.py:app"}}, "✗ langgraph.json: 'http.app' could not start: no database."),
    (AGENT, {"env": {"LANGGRAPH_AES_KEY": "0"}}, "✗ The variable LANGGRAPH_AES_KEY is not supported: "
     "this server does not encrypt what it stores; encrypt the database's disk instead."),
])  # fmt: skip
def test_wrong_code(tmp_path: Path, code: str, content: dict[str, Any], said: str) -> None:
    folder = write(tmp_path / "project", code, **content)
    assert refusal(folder)[-1] == said.format(folder=folder, pip=dependencies.install_command([]))


def test_the_command_says_what_it_can(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deerflow_site", "dev", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--port PORT" in done.stdout and "2024" in done.stdout
