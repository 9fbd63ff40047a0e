"""The lean handler, under two real servers and by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse

from runs.server.application import Site
from runs.server.handler import GetResponse, LeanHandler
from runs.server.lifespan import Lifespan
from runs.server.site import dispatched
from tests.runs.server import dummy
from tests.runs.server.processes import OURS, UVICORN, Process, running


@pytest.fixture(scope="module", params=[OURS, UVICORN], ids=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Iterator[Process]:
    with running(*request.param) as process:
        yield process


def leave_after(server: Process, path: str, pattern: str) -> None:
    """Request `path`, wait until the server prints `pattern`, and disconnect."""
    with server.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        server.expect(pattern)


def test_a_view_answers(server: Process) -> None:
    response = httpx.post(server.url + "/api/anything", content=b"four")
    assert response.json() == {"path": "/api/anything", "size": 4}


def test_a_client_that_leaves_cancels_the_view(server: Process) -> None:
    leave_after(server, "/api/wait", "^view waits$")
    server.expect("^view cancelled$")


def test_a_client_that_leaves_cancels_the_stream_which_cleans_up(server: Process) -> None:
    with httpx.stream("GET", server.url + "/api/numbers") as response:
        assert next(response.iter_lines()) == "0"
    server.expect("^generator (CancelledError|GeneratorExit)$")
    server.expect("^generator cleaned up$")


def test_an_error_in_a_view_is_answered_with_500_and_logged(server: Process) -> None:
    assert httpx.get(server.url + "/api/broken").status_code == 500
    server.expect("RuntimeError: an error inside a view")


def test_an_error_in_a_stream_breaks_the_response_and_is_logged_as_itself(server: Process) -> None:
    for count in (1, 2):
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(server.url + "/api/half", timeout=5)
        server.expect(r"(?s)" + r"RuntimeError: an error inside a stream.*" * count)
    assert "ExceptionGroup" not in server.output


# In this process


async def exchange(application: Any, path: str) -> tuple[int, bytes]:
    received: asyncio.Queue[Any] = asyncio.Queue()
    received.put_nowait({"type": "http.request"})
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await application(scope, received.get, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.fixture
def views(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.runs.server.dummy"


@pytest.mark.usefixtures("views")
async def test_its_own_middleware_wraps_the_views_in_order() -> None:
    calls: list[str] = []

    def middleware(name: str) -> Any:
        def factory(get_response: GetResponse) -> GetResponse:
            async def call(request: HttpRequest) -> HttpResponse:
                calls.append(name)
                response: Any = await get_response(request)
                calls.append(name)
                return response

            return call

        return factory

    handler = LeanHandler([middleware("outer"), middleware("inner")])
    assert (await exchange(handler, "/api/broken"))[0] == 500
    assert calls == ["outer", "inner", "inner", "outer"]


@pytest.mark.usefixtures("views")
@pytest.mark.django_db(transaction=True)
async def test_it_leaves_the_database_connection_of_its_thread_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    connection.ensure_connection()
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE")
    assert (await exchange(LeanHandler(), "/api/anything"))[0] == 200
    assert connection.connection is not None
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    connection.close()


@pytest.mark.parametrize(
    ("path", "handler"),
    [
        *(
            (path, "api")
            for path in (
                "/assistants",
                "/docs",
                "/info",
                "/metrics",
                "/ok",
                "/openapi.json",
                "/runs",
                "/store/items",
            )
        ),
        ("/threads/search", "api"),
        ("/threads/nothing/here/at/all", "api"),
        ("/threadsafe", "api"),  # the site's answer to unknown paths is the API's
        ("/", "api"),
        ("/admin/threads/", "site"),
        ("/admin", "site"),
        ("/chat/", "site"),
        ("/login/", "site"),
        ("/static/runs/js/chat/main.js", "site"),  # a middleware of the site serves it
    ],
)
async def test_the_api_has_its_paths_and_the_site_the_rest(path: str, handler: str) -> None:
    async def api(scope: Any, receive: Any, send: Any) -> None:
        await dummy.answer(send, b"api")

    async def site(scope: Any, receive: Any, send: Any) -> None:
        await dummy.answer(send, b"site")

    lifespan = Lifespan(dummy.runtime)
    await lifespan.startup()
    try:
        application = Site(lifespan, api=api, site=site, websocket=dummy.websocket, is_of_api=dispatched)
        assert (await exchange(application, path))[1] == handler.encode()
    finally:
        await lifespan.shutdown()
    assert (await exchange(application, path))[0] == 503
