"""The headers of every paged list, as in the API's document."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from runs.api.openapi.document import document
from runs.api.site import api
from tests.runs.api.routes.test_streams import new_thread

HEADERS = {"X-Pagination-Total", "X-Pagination-Next"}


async def three_assistants(http: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    for _ in range(3):
        await http.post("/assistants", json={"graph_id": "steps", "metadata": {"of": "pages"}})
    return "/assistants/search", {"metadata": {"of": "pages"}}


async def three_threads(http: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    for _ in range(3):
        await http.post("/threads", json={"metadata": {"of": "pages"}})
    return "/threads/search", {"metadata": {"of": "pages"}}


async def three_crons(http: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    thread = await new_thread(http)
    cron = {"assistant_id": "steps", "schedule": "0 0 1 1 *", "input": {"log": []}}
    for _ in range(3):
        await http.post(f"/threads/{thread}/runs/crons", json=cron)
    return "/runs/crons/search", {"thread_id": thread}


async def three_runs(http: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    thread = await new_thread(http)
    for _ in range(3):
        await http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "steps", "input": {"log": []}})
    return f"/threads/{thread}/runs", {}


LISTS = {
    "POST /assistants/search": three_assistants,
    "POST /threads/search": three_threads,
    "POST /runs/crons/search": three_crons,
    "GET /threads/{thread_id}/runs": three_runs,
}
#: Limit and offset, and the headers for three rows: the total is the page's end, plus one if more follow.
PAGES = [(2, 0, "3", "2"), (1, 0, "2", "1"), (1, 1, "3", "2"), (2, 2, "3", None), (3, 0, "3", None),
         (10, 0, "3", None), (10, 200, "200", None)]  # fmt: skip


def test_these_are_all_lists_that_come_in_pages() -> None:
    paths = document(api)["paths"]
    found = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any(HEADERS & set(each.get("headers", {})) for each in operation["responses"].values())
    }
    assert found == set(LISTS)


@pytest.mark.parametrize("route", LISTS)
async def test_the_headers_tell_of_the_pages(route: str, http: httpx.AsyncClient) -> None:
    path, conditions = await LISTS[route](http)
    for limit, offset, total, after in PAGES:
        wanted = {**conditions, "limit": limit, "offset": offset}
        if route.startswith("GET"):
            answer = await http.get(path, params=wanted)
        else:
            answer = await http.post(path, json=wanted)
        assert len(answer.json()) == max(0, min(limit, 3 - offset))
        told = answer.headers.get("x-pagination-total"), answer.headers.get("x-pagination-next")
        assert told == (total, after), wanted
