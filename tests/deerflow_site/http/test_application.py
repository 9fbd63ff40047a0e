"""What `http` of a langgraph.json puts around and beside the site."""

from __future__ import annotations

from typing import Any

import pytest

from deerflow_site.http import custom
from deerflow_site.http.application import wrapped
from deerflow_site.http.routes import shared_paths
from runs.exceptions import StartupError
from runs.server.types import Receive, Scope, Send


async def answer(send: Send, text: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(
        send, f"site {scope.get('root_path', '')}{'|' if scope.get('root_path') else ''}{scope['path']}"
    )


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, f"app {scope['path']} {scope['state']}")


async def get(http: dict[str, Any], path: str, *, custom_app: Any = None, kind: str = "http") -> str:
    """The body of an answer; for a refusal its status, and for a websocket its close code."""
    said = await answers(http, path, custom_app=custom_app, kind=kind)
    if kind == "websocket":
        return str(said[-1].get("code", said[-1]["type"]))
    status = said[0]["status"]
    return said[1]["body"].decode() if status == 200 else str(status)


async def answers(
    http: dict[str, Any],
    path: str,
    *,
    custom_app: Any = None,
    kind: str = "http",
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> list[Any]:
    """The messages of an answer."""
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    given = {"host": "localhost", **(headers or {})}
    scope = {
        "type": kind, "path": path, "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "method": method, "query_string": b"", "client": ("10.0.0.1", 1),
    }  # fmt: skip
    await wrapped(site, http, custom_app)(scope, receive, send)
    return said


@pytest.mark.parametrize("path, expected", [
    ("/hello", "app /hello {}"),
    ("/threads/unknown/things", "app /threads/unknown/things {}"),
    ("/docs", "site /docs"),
    ("/threads", "site /threads"),
    ("/chat/", "site /chat/"),
    ("/admin/", "site /admin/"),
])  # fmt: skip
async def test_the_sites_routes_win(path: str, expected: str) -> None:
    assert await get({}, path, custom_app=app) == expected


@pytest.mark.parametrize("http, path, expected", [
    ({"disable_store": True}, "/store/items", "404"),
    ({"disable_store": True}, "/threads", "site /threads"),
    ({"disable_runs": True}, "/threads/a/runs/stream", "404"),
    ({"disable_runs": True}, "/runs/wait", "404"),
    ({"disable_runs": True}, "/threads/a/commands", "404"),
    ({"disable_runs": True}, "/threads/a/stream", "404"),
    ({"disable_runs": True}, "/threads/a/state", "site /threads/a/state"),
    ({"disable_threads": True}, "/threads/a", "404"),
    ({"disable_meta": True}, "/openapi.json", "404"),
    ({"disable_meta": True}, "/ok", "site /ok"),
    ({"disable_a2a": True}, "/.well-known/agent-card.json", "404"),
    ({"mount_prefix": "/api"}, "/api/threads", "site /api|/api/threads"),
    ({"mount_prefix": "/api"}, "/api", "site /api|/api"),
    ({"mount_prefix": "/api"}, "/apis", "404"),
    ({"mount_prefix": "/api"}, "/threads", "404"),
    ({"mount_prefix": "/api"}, "/ok", "site /ok"),
    ({"mount_prefix": "/api", "disable_store": True}, "/api/store/items", "404"),
])  # fmt: skip
async def test_prefixes_and_disabled_routes(http: dict[str, Any], path: str, expected: str) -> None:
    assert await get(http, path) == expected


@pytest.mark.parametrize("http, path, expected", [
    ({"disable_store": True}, "/store/items", "app /store/items {}"),
    ({"disable_meta": True}, "/docs", "app /docs {}"),
    ({"disable_runs": True}, "/threads/a/runs", "app /threads/a/runs {}"),
    ({"disable_store": True}, "/threads", "site /threads"),
])  # fmt: skip
async def test_a_disabled_route_is_free_for_the_project(
    http: dict[str, Any], path: str, expected: str
) -> None:
    assert await get(http, path, custom_app=app) == expected


ELSEWHERE = {"origin": "https://pages.example"}
PREFLIGHT = {**ELSEWHERE, "access-control-request-method": "POST"}


@pytest.mark.parametrize("http, path, readable", [
    ({"middleware_order": "auth_first"}, "/threads", True),
    ({"middleware_order": "auth_first"}, "/chat/", False),
    ({"middleware_order": "auth_first", "enable_custom_route_auth": True}, "/hello", False),
    ({"cors": {"allow_origins": ["https://pages.example"]}}, "/hello", True),
    ({"cors": {"allow_origins": ["https://pages.example"]}, "enable_custom_route_auth": True}, "/hello", True),
    ({}, "/hello", False),
])  # fmt: skip
async def test_pages_of_allowed_origins_read_answers_and_refusals(
    settings: Any, http: dict[str, Any], path: str, readable: bool
) -> None:
    settings.RUNS = {**settings.RUNS, "CORS_ORIGINS": ["https://pages.example"]}
    [start, *_] = await answers(http, path, custom_app=app, headers=ELSEWHERE)
    assert ((b"access-control-allow-origin", b"https://pages.example") in start["headers"]) is readable


async def test_a_header_of_the_application_inside_is_not_sent_twice(settings: Any) -> None:
    settings.RUNS = {**settings.RUNS, "CORS_ORIGINS": ["https://pages.example"]}

    async def allowing(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"access-control-allow-origin", b"*"), (b"x-mine", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    http = {"cors": {"allow_origins": ["https://pages.example"]}}
    [start, *_] = await answers(http, "/hello", custom_app=allowing, headers=ELSEWHERE)
    allowed = [value for name, value in start["headers"] if name == b"access-control-allow-origin"]
    assert allowed == [b"https://pages.example"]
    assert (b"x-mine", b"1") in start["headers"]


@pytest.mark.parametrize("http, path, status", [
    ({"middleware_order": "auth_first"}, "/threads", 204),
    # Without `http.cors` the application's own middleware answers for its routes.
    ({"middleware_order": "auth_first", "enable_custom_route_auth": True}, "/hello", 200),
    ({"enable_custom_route_auth": True}, "/hello", 200),
    ({"enable_custom_route_auth": True, "cors": {"allow_origins": ["https://pages.example"]}}, "/hello", 204),
])  # fmt: skip
async def test_preflight_requests_need_no_credentials(
    settings: Any, http: dict[str, Any], path: str, status: int
) -> None:
    settings.RUNS = {**settings.RUNS, "CORS_ORIGINS": ["https://pages.example"]}
    [start, *_] = await answers(http, path, custom_app=app, method="OPTIONS", headers=PREFLIGHT)
    assert start["status"] == status


@pytest.mark.parametrize("http, path, expected", [
    ({"enable_custom_route_auth": True}, "/hello", "401"),
    ({"enable_custom_route_auth": True, "middleware_order": "auth_first"}, "/hello", "401"),
    ({"middleware_order": "auth_first"}, "/hello", "app /hello {}"),
    ({"middleware_order": "auth_first"}, "/threads", "401"),
    ({"middleware_order": "auth_first"}, "/ok", "site /ok"),
    ({"middleware_order": "auth_first"}, "/chat/", "site /chat/"),
    # The site authenticates its own routes.
    ({"enable_custom_route_auth": True}, "/threads", "site /threads"),
])  # fmt: skip
async def test_authentication(http: dict[str, Any], path: str, expected: str) -> None:
    assert await get(http, path, custom_app=app) == expected


async def test_websockets_are_refused_where_nothing_is() -> None:
    http = {"mount_prefix": "/api", "disable_threads": True}
    assert await get(http, "/threads/a/stream/events", kind="websocket") == "websocket.close"
    assert await get({"enable_custom_route_auth": True}, "/ws", custom_app=app, kind="websocket") == "4401"


def test_paths_that_both_have_are_found() -> None:
    paths = ["/docs", "/openapi.json", "/redoc", "/hello/{name}", "/threads/{thread_id:int}/mine", "/info"]
    assert shared_paths(paths) == ["/docs", "/info", "/openapi.json"]


# --- the application's lifespan


async def test_the_lifespan_of_an_application(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def living(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            seen.append(message["type"])
            scope["state"]["pool"] = 1
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    monkeypatch.setattr(custom, "application", lambda: living)
    async with custom.lifespan():
        assert custom.state == {"pool": 1}
        seen.append("serving")
    assert seen == ["lifespan.startup", "serving", "lifespan.shutdown"]


async def test_an_application_whose_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback\n  ...\nValueError: no pool"})

    monkeypatch.setattr(custom, "application", lambda: failing)
    with pytest.raises(
        StartupError, match=r"langgraph.json: 'http.app' could not start: ValueError: no pool\."
    ) as caught:
        async with custom.lifespan():
            raise AssertionError("it did not start")
    assert caught.value.exit_code == 1


async def test_an_application_without_a_lifespan(monkeypatch: pytest.MonkeyPatch) -> None:
    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"

    monkeypatch.setattr(custom, "application", lambda: plain)
    async with custom.lifespan():
        assert custom.state == {}


async def test_an_application_that_does_not_close(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await receive()

    monkeypatch.setattr(custom, "application", lambda: stubborn)
    monkeypatch.setattr(custom, "CLOSE", 0.05)
    async with custom.lifespan():
        pass
    assert "'http.app' did not close within 0.05 s." in caplog.text
