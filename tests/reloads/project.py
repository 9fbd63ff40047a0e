"""A project of a graph with slow steps, whose code says its version."""

from __future__ import annotations

import json
from pathlib import Path

STEPS = 8
AGENT = '''
import asyncio
from pathlib import Path
from operator import add
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph

VERSION = {version}
TRACE, HOLD = (Path(__file__).with_name(name) for name in ("trace", "hold"))


class State(TypedDict):
    log: Annotated[list[str], add]


def step(name):
    async def node(state: State):
        with TRACE.open("a") as trace:
            trace.write(f"{{name}} {{VERSION}}\\n")
        await asyncio.sleep({seconds})
        while name == "s4" and HOLD.exists():
            await asyncio.sleep(0.02)
        return {{"log": [name]}}

    return node


builder = StateGraph(State)
before = START
for number in range({steps}):
    name = f"s{{number}}"
    builder.add_node(name, step(name))
    builder.add_edge(before, name)
    before = name
graph = builder.compile()


async def page(scope, receive, send):
    """Says the version that is served; an application without a lifespan."""
    assert scope["type"] == "http"
    headers = [(b"content-type", b"text/plain")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": str(VERSION).encode()}})


try:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
except ImportError:
    app = page
else:
    app = Starlette(routes=[Route("/version", lambda request: PlainTextResponse(str(VERSION)))])
'''


class Project:
    """The project's folder."""

    def __init__(self, folder: Path, *, seconds: float = 0.3) -> None:
        self.folder, self.seconds = folder, seconds
        self.version = 0
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "graphs": {"agent": "./agent.py:graph"},
            "dependencies": ["."],
            "env": {"FROM_FILE": "yes"},
            "http": {"app": "./agent.py:app"},
        }
        (folder / "langgraph.json").write_text(json.dumps(content))
        self.save()

    def save(self, extra: str = "") -> int:
        """Write a new version of the code; return its number."""
        self.version += 1
        text = AGENT.format(version=self.version, seconds=self.seconds, steps=STEPS) + extra
        (self.folder / "agent.py").write_text(text)
        return self.version

    def trace(self) -> list[tuple[str, int]]:
        """The steps that began, each with the code's version."""
        file = self.folder / "trace"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(name, int(version)) for name, version in map(str.split, lines)]

    @property
    def hold(self) -> Path:
        """While this file exists, the fifth step does not end."""
        return self.folder / "hold"

    def forget(self) -> None:
        (self.folder / "trace").unlink(missing_ok=True)
