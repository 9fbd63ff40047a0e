"""Story 1: a folder with a langgraph.json, and `deerflow dev`, from the wheel."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runs.version import VERSION
from tests.processes.harness import eventually
from tests.reloads.dev import Dev
from tests.stories.environment import ROOT, Environment

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

APPLICATION = """
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

@asynccontextmanager
async def lifespan(app):
    print("custom: opened", flush=True)
    yield {"pool": "a pool"}
    print("custom: closed", flush=True)

app = FastAPI(lifespan=lifespan)

@app.middleware("http")
async def mark(request: Request, call_next):
    response = await call_next(request)
    response.headers["x-marked"] = "yes"
    return response

@app.get("/hello")
async def hello(request: Request):
    return {"pool": request.state.pool, "user": request.user.identity}
"""
AUTH = """
from langgraph_sdk import Auth

auth = Auth()

@auth.authenticate
async def authenticate(authorization: str | None):
    if authorization != "Bearer right":
        raise Auth.exceptions.HTTPException(status_code=401, detail="Say who you are.")
    return {"identity": "ada"}
"""
AGENTS = ("gated", "deep", "supervised", "swarm", "structured", "template", "functional")
FUNCTIONAL = """
from langgraph.func import entrypoint, task

@task
def twice(text): return text * 2

@entrypoint()
def functional(state): return {"messages": [("ai", twice("hi").result())]}
"""


@contextmanager
def developed(installed: Environment, folder: Path) -> Iterator[Dev]:
    env = {name: installed.env[name] for name in ("PATH",)}
    with Dev(folder, *installed.deerflow, **env) as dev:
        dev.ready()
        dev.says("✓ Serving")
        yield dev


def converse(dev: Dev, graph: str, text: str) -> dict[str, Any]:
    """Say something to an agent, approve whatever it asks, and return its final state."""
    thread = dev.http.post("/threads", json={}).json()["thread_id"]
    asked: dict[str, Any] = {"input": {"messages": [{"role": "user", "content": text}]}}
    for _ in range(4):
        answer = dev.http.post(
            f"/threads/{thread}/runs/wait", json={"assistant_id": graph, **asked}, timeout=120
        )
        state: dict[str, Any] = answer.json()
        assert answer.status_code == 200 and "__error__" not in state, (graph, state)
        if "__interrupt__" not in state:
            return state
        asked = {"command": {"resume": {"decisions": [{"type": "approve"}]}}}
    raise AssertionError(f"{graph} asks again and again")


def test_a_new_project_works_offline(installed: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "weather"
    made = installed.run(tmp_path, "deerflow", "new", "weather")
    assert made.returncode == 0 and "deerflow dev" in made.stdout, made.stderr
    again = installed.run(tmp_path, "deerflow", "new", "weather")
    assert again.returncode == 1 and again.stderr == "Error: weather is not empty: name a new folder.\n"
    tested = installed.run(folder, "python", "-m", "pytest", "-q")
    assert tested.returncode == 0, tested.stdout
    checked = installed.run(folder, "deerflow", "doctor")
    assert checked.returncode == 0 and "✓ graphs: agent can be imported" in checked.stdout, checked

    with developed(installed, folder) as dev:
        state = converse(dev, "agent", "What is the weather in Oslo?")
        assert "sunny in Oslo" in state["messages"][-1]["content"]
        assert dev.http.get("/info").json()["server"] == {"name": "deerflow-django", "version": VERSION}
        for path in (
            "/chat/",
            "/docs",
            "/admin/login/",
            "/static/runs/css/base.css",
            "/static/admin/css/base.css",
        ):
            assert dev.http.get(path).status_code == 200, path
        found = re.search(r"Admin .* user (\S+), password (\S+)", dev.output)
        assert found is not None, dev.output
        page = dev.http.get("/admin/login/")
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token is not None
        form = {
            "username": found[1],
            "password": found[2],
            "csrfmiddlewaretoken": token[1],
            "next": "/admin/",
        }
        headers = {"Referer": dev.url}
        assert dev.http.post("/admin/login/", data=form, headers=headers).headers["Location"] == "/admin/"
        assert f"deerflow-django {VERSION}" in dev.http.get("/admin/").text
    assert sorted(path.name for path in (folder / ".deerflow").iterdir())[:2] == [
        "admin.json",
        "checkpoints.sqlite3",
    ]
    assert (folder / ".deerflow/admin.json").stat().st_mode & 0o077 == 0


def test_graphs_of_popular_packages_and_an_application(installed: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "tests/packages/agents.py", folder / "agents.py")
    (folder / "functional.py").write_text(FUNCTIONAL)
    (folder / "web.py").write_text(APPLICATION)
    (folder / "auth.py").write_text(AUTH)
    graphs = {name: f"./agents.py:{name}" for name in AGENTS} | {"functional": "./functional.py:functional"}
    content = {
        "graphs": graphs,
        "dependencies": ["."],
        "http": {
            "app": "./web.py:app",
            "enable_custom_route_auth": True,
            "disable_store": True,
            "mount_prefix": "/api",
        },
        "auth": {"path": "./auth.py:auth"},
    }
    (folder / "langgraph.json").write_text(json.dumps(content))
    with Dev(folder, *installed.deerflow, PATH=installed.env["PATH"]) as dev:
        eventually(lambda: dev.ended or "✓ Serving" in dev.output, timeout=240, what="it serves")
        assert not dev.ended, dev.output
        assert "'http.app' also has /docs, /openapi.json: this server answers them." in dev.output
        dev.http.base_url = f"{dev.url}/api/"
        assert dev.http.get("/hello").status_code == dev.http.get("/threads/x/runs").status_code == 401
        dev.http.headers["Authorization"] = "Bearer right"
        hello = dev.http.get("/hello")
        assert (hello.json(), hello.headers["x-marked"]) == ({"pool": "a pool", "user": "ada"}, "yes")
        assert dev.http.get("/info").headers["x-marked"] == "yes"
        assert dev.http.post("/store/items/search", json={}).status_code == 404
        assert dev.get("/ok") is not None and dev.get("/info") is None
        for graph in graphs:
            converse(dev, graph, "Mail ada.")
    assert dev.output.index("custom: opened") < dev.output.index("custom: closed")
    assert "Traceback" not in dev.output


def test_the_package_has_what_the_site_needs(installed: Environment) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
        [metadata] = [wheel.read(name).decode() for name in names if name.endswith("/METADATA")]
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"deerflow_site", "runs", "threads", f"deerflow_django-{VERSION}.dist-info"}
    for package in ("deerflow_site", "runs", "threads"):
        for path in (ROOT / package).rglob("*"):
            kept = path.is_file() and "__pycache__" not in path.parts
            assert not kept or str(path.relative_to(ROOT)) in names, path
    assert f"Version: {VERSION}\n" in metadata and "Framework :: Django :: 6.0" in metadata
