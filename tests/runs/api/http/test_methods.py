"""HEAD, and unsupported methods, on every path of the API in the site's URLs."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest

from runs.api.site import api
from tests.runs.api.routes.test_streams import new_thread
from tests.runs.api.test_tenancy import path_view

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}


def paths() -> dict[str, set[str]]:
    """Every path, with ids that do not exist, and its methods."""
    found = {}
    for pattern in api.urls[0]:
        path = "/" + re.sub(r"<[^>]*>", lambda match: str(uuid4()), str(pattern.pattern))
        view = path_view(pattern)
        found[path] = {method for each in view.operations for method in each.methods} if view else {"GET"}
    return found


PATHS = paths()


async def test_a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has(
    http: httpx.AsyncClient,
) -> None:
    assert len(PATHS) > 40
    for path, has in PATHS.items():
        for method in sorted(METHODS - has):
            answer = await http.request(method, path)
            assert (answer.status_code, answer.text) == (405, '{"detail":"Method Not Allowed"}'), (
                method,
                path,
            )
            assert answer.headers["content-type"] == "application/json"
            allowed = set(answer.headers["allow"].split(", "))
            assert allowed == has | ({"HEAD"} if "GET" in has else set()), path


async def test_head_is_get_without_its_body(http: httpx.AsyncClient) -> None:
    for path, has in PATHS.items():
        head = await http.head(path)
        assert head.content == b""
        if "GET" not in has:
            assert head.status_code == 405, path
            continue
        async with http.stream("GET", path) as get:
            assert head.status_code == get.status_code, path
            assert head.headers["content-type"] == get.headers["content-type"], path
            if "content-length" in get.headers and not path.startswith("/metrics"):
                assert head.headers["content-length"] == get.headers["content-length"], path


async def test_head_begins_no_stream_and_the_connection_goes_on(http: httpx.AsyncClient, sdk: Any) -> None:
    thread = await new_thread(http)
    whole = await http.get(f"/threads/{thread}")
    head = await http.head(f"/threads/{thread}")
    assert int(head.headers["content-length"]) == len(whole.content)
    run = await sdk.runs.create(thread, "sleeping", input={"log": [], "delay": 30})
    query = "?cancel_on_disconnect=true"
    for path in (f"/threads/{thread}/runs/{run['run_id']}/stream{query}", f"/threads/{thread}/stream"):
        head = await http.head(path, timeout=5)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
    # An abandoned stream would cancel its run, but only after a moment.
    await asyncio.sleep(0.5)
    assert (await sdk.runs.get(thread, run["run_id"]))["status"] in ("pending", "running")
    await sdk.runs.cancel(thread, run["run_id"], wait=True)


@pytest.mark.parametrize("path", ["/threads", "/threads/search", "/nothing"])
async def test_head_where_there_is_nothing_to_get(http: httpx.AsyncClient, path: str) -> None:
    head = await http.head(path)
    assert (head.status_code, head.content) == (404 if path == "/nothing" else 405, b"")
