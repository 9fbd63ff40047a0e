"""The server's own endpoints, and the behaviour common to all."""

from __future__ import annotations

import asyncio
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.db import InternalError, OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, RequestFactory
from pytest_django import Settings

from runs.api.http.metering import metered
from runs.api.responses import errors
from runs.api.site import api
from runs.process import metrics, queue_state
from runs.process.current import current
from runs.server.handler import LeanHandler
from tests.runs.api.routes.test_streams import eventually

PUBLIC = ["/ok", "/", "/ok?check_db=1", "/info", "/docs", "/openapi.json"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_some_paths_are_for_everybody(http: httpx.AsyncClient, run_settings: Any, path: str) -> None:
    run_settings(LOCAL_USER=False)
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/ok", "/", "/ok?check_db=1"])
async def test_a_server_that_takes_requests_is_ok_until_it_shuts_down(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "services": {}})
    current().draining = True
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (503, {"detail": "The server is shutting down."})


async def test_a_browser_at_the_root_is_sent_to_the_chat(http: httpx.AsyncClient) -> None:
    headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = await http.get("/", headers=headers)
    # Relative: a proxy may serve the site below a path.
    assert (answer.status_code, answer.headers["Location"]) == (302, "chat/")


async def test_before_its_start_a_server_is_not_ok() -> None:
    lean: Any = LeanHandler()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(lean), base_url="http://testserver") as http:
        answer = await http.get("/ok")
    assert (answer.status_code, answer.json()) == (503, {"detail": "The server is not ready."})


async def test_the_server_tells_what_it_is(http: httpx.AsyncClient) -> None:
    info = (await http.get("/info")).json()
    assert info["langgraph_py_version"] == version("langgraph")
    assert info["flags"]["assistants"] is True
    assert info["host"]["kind"] == "self-hosted"


async def test_the_schema_names_every_path_once(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()
    assert {"/threads", "/threads/{thread_id}/runs/stream", "/runs/wait", "/assistants/search"} <= set(
        schema["paths"]
    )
    operations = [each["operationId"] for path in schema["paths"].values() for each in path.values()]
    assert len(operations) == len(set(operations))
    body = schema["paths"]["/threads/{thread_id}/runs"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/RunCreate"}


@pytest.mark.parametrize("path", ["/nope", "/threads/", "/threads/a/b/c/d", "/runs/x/y/z"])
async def test_a_path_that_does_not_exist_is_not_found_in_json(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


async def test_the_admin_is_beside_the_api(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    client = AsyncClient()
    assert (await client.get("/admin/")).headers["location"] == "/admin/login/?next=/admin/"
    assert (await client.get("/admin")).headers["location"] == "/admin/"


async def test_a_foreign_host_name_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/threads", json={}, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "ALLOWED_HOSTS" in answer.json()["detail"]


async def test_a_body_above_the_limit_is_refused(http: httpx.AsyncClient, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = await http.post("/threads", json={"metadata": {"x": "y" * 200}})
    assert answer.status_code == 413
    assert answer.json()["detail"].startswith("Request body is larger than")


async def test_a_body_that_is_nested_too_deeply_is_refused(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(JSON_DEPTH=4)
    assert (await http.post("/threads", json={"metadata": {"a": {"b": {}}}})).status_code == 200
    answer = await http.post("/threads", json={"metadata": {"a": {"b": {"c": {}}}}})
    assert answer.status_code == 422
    assert "4 levels" in answer.json()["detail"]


def test_a_database_that_does_not_answer_is_worth_another_try() -> None:
    ended = InternalError("gone")
    ended.__cause__ = psycopg.errors.IdleInTransactionSessionTimeout()
    for error in (OperationalError("gone"), ended):
        answer = api.on_exception(RequestFactory().get("/threads"), error)
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")


def test_a_statement_that_is_wrong_is_a_mistake_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    answer = api.on_exception(RequestFactory().get("/threads"), ProgrammingError("no such column"))
    assert answer.status_code == 500
    assert "no such column" in caplog.text


def test_a_mistake_of_the_server_says_nothing_about_itself(caplog: pytest.LogCaptureFixture) -> None:
    answer = api.on_exception(RequestFactory().get("/threads"), KeyError("secret"))
    assert (answer.status_code, answer.content) == (500, b'{"detail":"Internal Server Error"}')
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"loc": ("path", "run_id"), "type": "uuid_parsing", "msg": "x"}, "Invalid run ID: must be a UUID"),
        (
            {"loc": ("body", "body", "a", "literal['x']", 0), "type": "t", "msg": "Input is bad"},
            "a.0: input is bad.",
        ),
        ({"loc": ("query", "limit"), "type": "t", "msg": "Value error, must be 1"}, "limit: must be 1."),
        ({"loc": ("body", "body", "a"), "type": "missing", "msg": "x"}, "a is required."),
    ],
)
def test_an_error_is_one_sentence(error: dict[str, object], text: str) -> None:
    assert errors.sentence([error]) == text


# --- metrics


@pytest.fixture(autouse=True)
def fresh_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_state, "_last", None)
    metrics.requests.__init__()  # type: ignore[misc]


async def scraped(http: httpx.AsyncClient) -> dict[str, float]:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}


async def test_requests_are_counted_by_route_and_status(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await http.get("/threads/33333333-3333-4333-8333-333333333333")
    await http.get("/nope/1")
    await http.get("/nope/2")
    await http.request("BREW", "/ok")
    found = await scraped(http)
    assert found['http_requests_total{method="GET",path="/threads/{thread_id}",status="404"}'] == 3
    assert found['http_requests_total{method="GET",path="(none)",status="404"}'] == 2
    assert found['http_requests_total{method="(other)",path="/ok",status="405"}'] == 1
    of_thread = 'method="GET",path="/threads/{thread_id}"'
    assert found[f"http_requests_latency_seconds_count{{{of_thread}}}"] == 3
    assert found[f'http_requests_latency_seconds_bucket{{{of_thread},le="+Inf"}}'] == 3
    assert 0 < found[f"http_requests_latency_seconds_sum{{{of_thread}}}"] < 60
    as_json = (await http.get("/metrics?format=json")).json()
    assert {"method": "GET", "path": "/metrics", "status": 200, "count": 1} in as_json["api"][
        "http_requests_total"
    ]


@pytest.mark.parametrize(("error", "status"), [(asyncio.CancelledError, 499), (RuntimeError, 500)])
async def test_a_request_that_no_answer_came_to_is_counted_too(
    error: type[BaseException], status: int
) -> None:
    async def fails(request: HttpRequest) -> HttpResponse:
        raise error

    with pytest.raises(error):
        await metered(fails)(RequestFactory().get("/anything"))
    assert metrics.requests.totals == {("GET", "(none)", status): 1}


async def test_the_queue_is_what_waits_and_runs(http: httpx.AsyncClient) -> None:
    run = (
        await http.post("/runs", json={"assistant_id": "sleeping", "input": {"log": [], "delay": 30}})
    ).json()
    thread = f"/threads/{run['thread_id']}/runs"
    await eventually(http, f"{thread}/{run['run_id']}", lambda run: run["status"] == "running")
    for delay in (0, 0, 0, 60):
        await http.post(thread, json={"assistant_id": "steps", "input": {"log": []}, "after_seconds": delay})
    queue = (await http.get("/metrics?format=json")).json()
    assert (queue["queue"]["n_pending"], queue["queue"]["n_running"]) == (4, 1)
    assert (
        0
        < queue["queue"]["pending_runs_wait_time_med_secs"]
        < queue["queue"]["pending_runs_wait_time_max_secs"]
    )
    # All of them wait for the first one.
    assert queue["queue"]["pending_unblocked_runs_wait_time_max_secs"] is None
    assert (queue["workers"]["active"], queue["workers"]["available"]) == (1, queue["workers"]["max"] - 1)
    found = await scraped(http)
    assert (found["runs_pending"], found["runs_running"], found["runs_live_workers"]) == (4, 1, 1)
    assert (found["runs_slots_used"], found["runs_database_up"]) == (1, 1)


async def test_threads_of_synchronous_nodes_are_counted(http: httpx.AsyncClient) -> None:
    release, begun = threading.Event(), threading.Semaphore(0)
    loop = asyncio.get_running_loop()

    def node() -> None:
        begun.release()
        release.wait(30)

    left, kept = (loop.run_in_executor(None, node) for _ in range(2))
    try:
        # A call that has not begun is cancelled, and leaves no thread.
        for _ in range(2):
            await asyncio.to_thread(begun.acquire, timeout=30)
        left.cancel()
        await asyncio.sleep(0)
        found = await scraped(http)
        names = ("node_threads_busy", "node_threads_abandoned", "node_calls_waiting")
        assert [found[name] for name in names] == [2, 1, 0]
    finally:
        release.set()
        await kept


async def test_the_queue_is_read_once_in_a_while(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Any] = []
    read = queue_state.read
    monkeypatch.setattr(queue_state, "read", lambda: reads.append(1) or read())
    for _ in range(3):
        await scraped(http)
    assert len(reads) == 1


async def test_a_server_without_its_database_still_tells_what_it_knows(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(queue_state, "read", unreachable)
    found = await scraped(http)
    assert found["runs_database_up"] == 0
    assert "runs_pending" not in found
    assert (await http.get("/metrics?format=json")).json()["queue"] is None


def test_labels_cannot_break_the_text_out() -> None:
    text = metrics.exposition([metrics.gauge("g", "A gauge.", 1.5, path='a"b\\c\nd')])
    assert text == '# HELP g A gauge.\n# TYPE g gauge\ng{path="a\\"b\\\\c\\nd"} 1.5\n'


@pytest.mark.parametrize(("value", "text"), [(1234567, "1234567"), (True, "1"), (0.25, "0.25"), (2.0, "2")])
def test_no_digit_of_a_number_is_lost(value: float, text: str) -> None:
    assert metrics.exposition([metrics.gauge("g", "A gauge.", value)]).splitlines()[-1] == f"g {text}"


def test_a_latency_is_counted_in_every_bucket_that_is_wide_enough() -> None:
    latency = metrics.Latency()
    for seconds in (0.005, 0.0051, 99.0):
        latency.add(seconds)
    counts = dict(latency.cumulative())
    assert (counts["0.005"], counts["0.01"], counts["30.0"], counts["+Inf"]) == (1, 2, 2, 3)


@pytest.mark.parametrize("path", ["/ok", "/docs", "/threads/search", "/nowhere"])
async def test_an_answer_is_what_it_says_and_is_shown_in_no_frame(http: httpx.AsyncClient, path: str) -> None:
    for answer in (await http.get(path), await http.post(path, json={})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        policy = answer.headers["Content-Security-Policy"]
        page = answer.headers.get("Content-Type", "").startswith("text/html")
        assert policy.startswith("default-src 'self'" if page else "default-src 'none'")
        assert "script-src" not in policy
