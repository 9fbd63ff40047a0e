"""Connections of clients that send slowly, and of too many clients; on real servers with a dummy runtime."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.runs.server.processes import Process, running
from tests.runs.server.test_daphne import Stream, eventually

pytestmark = pytest.mark.server

ARRIVAL = 1.0
MOST = 8
GET = b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with running(ARRIVAL=str(ARRIVAL), CONNECTIONS=str(MOST)) as process:
        yield process


def drip(client: socket.socket, text: bytes, *, pause: float = 0.05, most: float = 20) -> bytes:
    """Send one byte after the other until the server answers or closes; return its answer."""
    client.settimeout(pause)
    deadline = time.monotonic() + most
    for place in range(len(text)):
        assert time.monotonic() < deadline, "The connection stays open."
        try:
            client.sendall(text[place : place + 1])
            if answer := client.recv(65536):
                return answer
            break
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            break
    return b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 5000,
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 5000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"a" * 5000,
    ],
    ids=["path", "header", "headers", "body"],
)
def test_a_request_that_drips_is_closed(server: Process, head: bytes) -> None:
    with server.connect() as client:
        # All at once up to where it drips.
        start = head[: -5000 if head[-1:] == b"a" else 20]
        client.sendall(start)
        began = time.monotonic()
        answer = drip(client, head[len(start) :])
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b'{"detail": "The request did not arrive in time."}' in answer
        assert ARRIVAL / 2 < time.monotonic() - began < ARRIVAL + 10
        client.settimeout(10)
        assert client.recv(100) == b""


def test_a_large_body_has_more_time(server: Process) -> None:
    body = b"x" * 100_000
    with server.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body))
        began = time.monotonic()
        for place in range(0, len(body), 5000):
            client.sendall(body[place : place + 5000])
            time.sleep(1.5 * ARRIVAL / (len(body) / 5000))
        assert time.monotonic() - began > ARRIVAL
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_connection_may_pause_between_requests_and_during_a_response(server: Process) -> None:
    with server.connect() as client:
        for _ in range(3):
            client.sendall(GET)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
            time.sleep(ARRIVAL / 2 + 0.2)
        # The next request may wait behind a stream for as long as the stream lasts.
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + GET[:10])
        began = time.monotonic()
        while time.monotonic() < began + 3 * ARRIVAL:
            assert b"408" not in client.recv(65536)


def first_words(server: Process) -> bytes:
    """What a client hears that has said nothing."""
    with server.connect() as client:
        return client.recv(65536)


def accepts(server: Process) -> bool:
    try:
        return httpx.get(server.url + "/state").status_code == 200
    except httpx.TransportError:
        # The refusal was lost, because the request met a closed connection.
        return False


def test_more_connections_than_are_allowed_are_refused_until_others_end(server: Process) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(MOST)]
        for client in held:
            client.sendall(GET)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        for _ in range(3):
            answer = first_words(server)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in answer
            assert b"too many open connections" in answer
        held.pop().close()
        eventually(lambda: accepts(server))
    eventually(lambda: accepts(server))


def test_websockets_and_streams_are_connections_too(server: Process) -> None:
    with ExitStack() as stack:
        sockets: list[Any] = [
            stack.enter_context(connect(server.websocket_url("/echo"))) for _ in range(MOST - 1)
        ]
        stream = Stream(server)
        assert first_words(server).startswith(b"HTTP/1.1 503 ")
        for each in sockets:
            each.close()
        eventually(lambda: accepts(server))
        assert stream.is_alive()
    # None of them is counted any more, however it ended.
    for _ in range(2 * MOST):
        with server.connect() as client:
            client.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
    eventually(lambda: accepts(server))
    server.stop()
    stream.join(10)
