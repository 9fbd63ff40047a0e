"""CORS: what browsers let other sites' pages do with the API."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from runs.checks import configuration
from runs.identity.origins import is_allowed
from runs.server.application import Site
from runs.server.lifespan import Lifespan
from tests.runs.server import dummy

STUDIO = "https://smith.langchain.com"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,x-api-key",
}


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        (STUDIO, [STUDIO], True),
        ("HTTPS://SMITH.langchain.com", [STUDIO], True),
        (STUDIO + ":8443", [STUDIO], False),
        ("http://smith.langchain.com", [STUDIO], False),
        ("https://evil.example", [STUDIO], False),
        (STUDIO + ".evil.example", [STUDIO], False),
        (STUDIO, [], False),
        (STUDIO, ["*"], True),
        ("null", ["*"], True),
        ("null", ["loopback"], False),
        ("http://localhost:3000", ["loopback"], True),
        ("https://127.0.0.1", ["loopback"], True),
        ("http://[::1]:5173", ["loopback"], True),
        ("http://localhost.evil.example", ["loopback"], False),
        ("http://localhost@evil.example", ["loopback"], False),
        ("http://evil.example/localhost", ["loopback"], False),
        ("http://evil.example#http://localhost", ["loopback"], False),
        ("file://localhost", ["loopback"], False),
        ("http://[", ["loopback"], False),
        ("loopback", ["loopback"], False),
    ],
)
def test_an_origin_is_allowed_by_its_whole_name(origin: str, allowed: list[str], expected: bool) -> None:
    assert is_allowed(origin, allowed) is expected


@pytest.fixture
async def lifespan() -> AsyncIterator[Lifespan]:
    lifespan = Lifespan(dummy.runtime)
    await lifespan.startup()
    yield lifespan
    await lifespan.shutdown()


@pytest.fixture
async def client(lifespan: Lifespan) -> AsyncIterator[httpx.AsyncClient]:
    async def api(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/stream"):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"location", b"/x")]})
            for part in (b"a", b"b"):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            return await send({"type": "http.response.body"})
        return await dummy.answer(send, status=404)

    site = Site(
        lifespan,
        api=api,
        site=api,
        websocket=dummy.websocket,
        is_of_api=lambda scope: not scope["path"].startswith("/admin"),
    )
    transport = httpx.ASGITransport(site)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def test_a_page_of_an_allowed_site_may_ask(client: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(CORS_ORIGINS=[STUDIO])
    headers = {"Origin": STUDIO, **PREFLIGHT}
    answer = await client.options("/threads", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == STUDIO
    assert answer.headers["access-control-allow-headers"] == "content-type,x-api-key"
    assert {"POST", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-private-network" not in answer.headers
    headers["Access-Control-Request-Private-Network"] = "true"
    answer = await client.options("/ok", headers=headers)
    assert answer.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize(("path", "status"), [("/threads/x", 404), ("/runs/stream", 200)])
async def test_a_page_of_an_allowed_site_reads_errors_streams_and_where_they_are(
    client: httpx.AsyncClient, run_settings: Any, path: str, status: int
) -> None:
    run_settings(CORS_ORIGINS=[STUDIO])
    answer = await client.get(path, headers={"Origin": STUDIO})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, STUDIO)
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert {"location", "content-location", "x-pagination-total", "x-pagination-next"} <= exposed


async def test_a_server_that_does_not_serve_says_so_to_pages_too(
    lifespan: Lifespan, client: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(CORS_ORIGINS=[STUDIO])
    await lifespan.shutdown()
    answer = await client.get("/threads", headers={"Origin": STUDIO})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (503, STUDIO)


@pytest.mark.parametrize("allowed", [[], ["https://other.example"], ["loopback"]])
async def test_a_page_of_another_site_learns_nothing(
    client: httpx.AsyncClient, run_settings: Any, allowed: list[str]
) -> None:
    run_settings(CORS_ORIGINS=allowed)
    for answer in (
        await client.options("/threads", headers={"Origin": STUDIO, **PREFLIGHT}),
        await client.get("/runs/stream", headers={"Origin": STUDIO}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    refused = await client.options("/threads", headers={"Origin": STUDIO, **PREFLIGHT})
    assert (refused.status_code, "CORS_ORIGINS" in refused.json()["detail"]) == (403, True)


@pytest.mark.parametrize("allowed", [["*"], [STUDIO]])
async def test_nobodys_cookies_are_asked_for(
    client: httpx.AsyncClient, run_settings: Any, allowed: list[str]
) -> None:
    run_settings(CORS_ORIGINS=allowed)
    for answer in (
        await client.options("/threads", headers={"Origin": STUDIO, **PREFLIGHT}),
        await client.get("/threads/x", headers={"Origin": STUDIO}),
    ):
        assert answer.headers["access-control-allow-origin"] == allowed[0]
        assert "access-control-allow-credentials" not in answer.headers


async def test_who_is_no_page_gets_no_such_headers(client: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(CORS_ORIGINS=["*"])
    assert not [name for name in (await client.get("/threads")).headers if name.startswith("access-control")]
    # Pages outside of the API are closed to other sites.
    answer = await client.get("/admin/", headers={"Origin": STUDIO})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origins", "local", "expected"),
    [
        ([], True, []),
        ([STUDIO, "loopback", "http://[::1]:3000"], True, []),
        (["*"], False, []),
        (["*"], True, ["runs.E011"]),
        (["smith.langchain.com"], False, ["runs.E010"]),
        ([STUDIO + "/"], False, ["runs.E010"]),
        ([""], False, ["runs.E010"]),
    ],
)
def test_the_setting_is_checked(
    run_settings: Any, monkeypatch: pytest.MonkeyPatch, origins: list[str], local: bool, expected: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "check"])
    run_settings(CORS_ORIGINS=origins, LOCAL_USER=local)
    assert [error.id for error in configuration.check_settings(None)] == expected


@pytest.mark.parametrize("path", ["/threads/x%2Fstream", "/threads/..%2fstore", "/threads%2Fx"])
async def test_a_path_with_an_encoded_slash_is_refused(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 400
    assert (await client.get("/threads/x/stream?next=a%2Fb")).status_code == 200
