"""The worst requests of every route, made from the API's own document. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.worst.shapes import OF_FIELDS, SHAPES, Shape, of_schema

#: Sizes of a body, or of a value in it: up to the body's limit; below the limit of an item.
SIZES = {"8 MB": 8 * 1024 * 1024 - 2000, "0.9 MB": 900_000}
#: Bytes of a header or of a parameter: what a line of a request may have.
LINE = 15_000

#: What a request must have beside the value that is tried.
RUN = {"assistant_id": "talking", "input": {"messages": []}, "multitask_strategy": "enqueue"}
BODIES: dict[str, Any] = {
    "POST /assistants": {"graph_id": "talking"},
    "POST /assistants/{}/latest": {"version": 1},
    "POST /threads": {"metadata": {"graph_id": "talking"}},
    "POST /threads/prune": {"thread_ids": ["00000000-0000-4000-8000-000000000000"]},
    "POST /threads/{}/state": {"values": {"messages": []}, "as_node": "talk"},
    "POST /threads/{}/state/checkpoint": {"checkpoint": {}},
    "POST /threads/{}/commands": {"id": 1, "method": "run.start", "params": RUN},
    "POST /threads/{}/stream/events": {"channels": ["values"]},
    "POST /runs/crons": {**RUN, "schedule": "0 0 1 1 *"},
    "POST /threads/{}/runs/crons": {**RUN, "schedule": "0 0 1 1 *"},
    "POST /runs/batch": [RUN],
    "PUT /store/items": {"namespace": ["worst"], "key": "k", "value": {"text": ["9" * 900_000]}},
    "DELETE /store/items": {"namespace": ["worst"], "key": "k"},
    "POST /store/items/search": {"namespace_prefix": []},
    **dict.fromkeys(
        [f"POST {of}/runs{how}" for of in ("", "/threads/{}") for how in ("", "/wait", "/stream")], RUN
    ),
}
#: Routes that all take a run: every value of one is tried, and of the others one of each shape.
SAME = re.compile(r"/threads/{}/runs/wait$|/runs(/stream|/batch|/crons)?$")
#: What nothing can be tried on: the page of the document, and streams of threads, which end with their reader alone.
LEFT_OUT = {"GET /docs", "GET /threads/{}/stream"}
Body = Callable[[], bytes]
PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Worst:
    """One request, whose body is made when it is sent."""

    name: str
    method: str
    #: With the names of rows that are there, such as `{thread_id}`.
    path: str
    body: Body | None = None
    headers: dict[str, str] = field(default_factory=dict)


def all_requests(document: dict[str, Any]) -> Iterator[Worst]:
    named = document["components"]["schemas"]
    for route, operations in document["paths"].items():
        for verb, operation in operations.items():
            key = f"{verb.upper()} {PARAMETER.sub('{}', route)}"
            if key not in LEFT_OUT:
                yield from _lines(key, route, operation)
            if key not in LEFT_OUT and "requestBody" in operation:
                content = next(iter(operation["requestBody"]["content"].values()))
                for name, body in _bodies(key, content["schema"], named):
                    yield Worst(f"{key}: {name}", verb.upper(), route, body)


def _bodies(key: str, schema: dict[str, Any], named: dict[str, Any]) -> Iterator[tuple[str, Body]]:
    base = BODIES.get(key, {})
    fields = _fields(schema, named)
    for size, number in SIZES.items():
        for shape, make in SHAPES.items():
            yield f"{shape} as all of it, {size}", _whole(make, number)
        for position, (name, each) in enumerate(fields.items()):
            shapes = SHAPES | of_schema(each, named)
            if SAME.search(key):
                # One shape for each field, and each shape once.
                shapes = dict(list(shapes.items())[position :: len(fields)])
            for shape, make in (shapes | OF_FIELDS.get(name, {})).items():
                yield f"{shape} as {name}, {size}", _around(base, name, make, number)


def _whole(make: Shape, size: int) -> Body:
    return lambda: make(size)


def _around(base: Any, name: str, make: Shape, size: int) -> Body:
    """A body with a value in one of its fields."""

    def made() -> bytes:
        whole = base[0] if isinstance(base, list) else base
        marked = json.dumps({**whole, name: "\x00"}).encode()
        body = marked.replace(b'"\\u0000"', make(size))
        return b"[" + body + b"]" if isinstance(base, list) else body

    return made


def _fields(schema: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _fields(named[schema["$ref"].rsplit("/", 1)[1]], named)
    if schema.get("type") == "array":
        return _fields(schema["items"], named)
    found: dict[str, Any] = schema.get("properties", {})
    return found


#: Values of a parameter, or of a header.
LINES = {
    "hyphens": "a-" * (LINE // 2),
    "digits": "9" * LINE,
    "dots": "a." * (LINE // 2),
    "brackets": "[0]" * (LINE // 9),
    "commas": "," * LINE,
    "largest": str(2**31 - 1),
    "more than a database counts to": "9" * 25,
    "1000": "1000",
}
#: Headers that all routes read, tried on two of them.
HEADERS = ("X-Api-Key", "Authorization", "Cookie", "Origin", "X-Auth-Scheme", "X-Forwarded-For", "Accept")
WITH_HEADERS = ("GET /info", "POST /threads/search")


def _lines(key: str, route: str, operation: dict[str, Any]) -> Iterator[Worst]:
    """What can be in the first line of a request, and in its headers."""
    method = key.partition(" ")[0]
    body = json.dumps(BODIES[key]).encode() if key in BODIES else None

    def worst(said: str, path: str = route, **headers: str) -> Worst:
        return Worst(f"{key}: {said}", method, path, (lambda: body) if body is not None else None, headers)

    yield worst("as usual")
    for name, value in LINES.items():
        quoted = quote(value)[:LINE]
        for each in operation.get("parameters", []):
            said, parameter = f"{name} as {each['name']}", each["name"]
            if each["in"] == "query":
                yield worst(said, f"{route}?{parameter}={quoted}")
            elif each["in"] == "header":
                yield worst(said, **{parameter: value})
            else:
                yield worst(said, route.replace("{" + parameter + "}", quoted))
        if key in WITH_HEADERS:
            for header in HEADERS:
                yield worst(f"{name} as {header}", **{header: value})
    for each in operation.get("parameters", []):
        if each["in"] == "query":
            repeated = "&".join([f"{each['name']}=a"] * (LINE // (len(each["name"]) + 3)))
            yield worst(f"{each['name']} again and again", f"{route}?{repeated}")
