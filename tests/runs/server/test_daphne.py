"""Real servers in separate processes, and real signals; the runtime is a dummy."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from runs.server.limits import LINGER_BYTES
from tests.runs.server.processes import DAPHNE, OURS, UVICORN, Process, running

LIMIT = 200_000

pytestmark = pytest.mark.server


def state(server: Process) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(server.url + "/state").json()
    return found


def eventually(condition: Any, *, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "It did not become true."
        time.sleep(0.02)


def accepts(server: Process) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return False
    return True


class Stream(threading.Thread):
    """An event stream that is being read; `end` says how it ended."""

    def __init__(self, server: Process, path: str = "/stream") -> None:
        super().__init__()
        self.received: list[str] = []
        self.end: Exception | None = None
        self.url = server.url + path
        self.start()
        eventually(lambda: self.received)

    def run(self) -> None:
        try:
            with httpx.stream("GET", self.url, timeout=30) as response:
                self.received += (line for line in response.iter_lines() if line)
        except httpx.HTTPError as error:
            self.end = error


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with running() as process:
        yield process


# The start


def test_a_start_that_fails_exits_with_1_says_why_and_never_listens() -> None:
    with running(START="fails") as server:
        assert server.wait() == 1
        assert "the pool did not open" in server.output
        assert "Listening" not in server.output


def test_a_start_that_is_refused_exits_with_the_code_of_the_refusal() -> None:
    with running(START="refuses") as server:
        assert server.wait() == 1, "the script lets the error escape; manage.py serve turns it into 3"
        assert "Another process executes runs" in server.output


def test_a_signal_during_the_start_ends_it() -> None:
    with running(START="waits") as server:
        server.expect("^waiting$")
        assert server.stop() == 0
        assert "Listening" not in server.output


def test_a_signal_in_the_last_moment_of_the_start_drains_and_never_listens() -> None:
    with running(START="is told to stop") as server:
        assert server.wait() == 0
        assert "drained" in server.lines
        assert "Listening" not in server.output


def test_a_port_in_use_ends_the_process_in_one_line_after_closing_what_was_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(*OURS, str(port)) as server:
            assert server.wait() == 1
    assert server.lines[:4] == ["opened execute=True", "stop_claiming", "draining", "drained"]
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in server.lines[-1]


# The shutdown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_listening_then_drains_while_clients_are_served_then_closes(
    number: signal.Signals,
) -> None:
    with running(DRAIN="1") as server, connect(server.websocket_url("/echo")) as websocket:
        stream = Stream(server)
        assert accepts(server)

        server.signal(number)
        server.expect("^draining$")
        eventually(lambda: not accepts(server))
        assert "drained" not in server.lines

        seen = len(stream.received)
        eventually(lambda: len(stream.received) > seen + 5)
        websocket.send("still there?")
        assert websocket.recv() == "still there?"
        assert "drained" not in server.lines

        with pytest.raises(ConnectionClosed):
            websocket.recv()
        assert websocket.close_code == 1012
        assert re.fullmatch(
            r"The server is restarting\. Retry after 1(\.[01])? s\.", websocket.close_reason or ""
        )
        assert server.wait() == 0
        stream.join()
        assert (stream.end, stream.received[-1]) == (None, "data: bye")
        assert server.lines.index("drained") < server.lines.index("websocket 1012")
        assert server.lines[-1] == "returned"


def test_further_signals_cannot_abandon_the_drain_and_are_logged_once() -> None:
    with running(DRAIN="1.5") as server:
        server.expect("Listening")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            server.signal(number)
            time.sleep(0.2)
        assert server.wait() == 0
        assert server.output.count("already draining") == 1
        assert server.lines.count("drained") == 1


def test_a_request_in_flight_is_answered_though_the_drain_is_over() -> None:
    with running() as server, httpx.Client(base_url=server.url) as client:
        answers: list[str] = []
        request = threading.Thread(target=lambda: answers.append(client.get("/slow/0.7").text))
        request.start()
        server.expect("^slow$")
        assert server.stop() == 0
        request.join()
        assert answers == ["done"]


def test_connections_that_are_kept_open_are_closed_with_their_next_answer() -> None:
    with running(DRAIN="1") as server, httpx.Client(base_url=server.url) as client:
        assert "connection" not in client.get("/").headers
        server.signal()
        server.expect("^draining$")
        response = client.get("/")
        assert (response.status_code, response.headers["connection"]) == (200, "close")
        assert server.wait() == 0


def test_an_application_that_outlives_the_drain_is_told_that_its_client_left() -> None:
    with running() as server:
        stream = Stream(server, "/stream/stubborn")
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5
        assert "stream http.disconnect" in server.lines
        stream.join()
        assert isinstance(stream.end, httpx.RemoteProtocolError)


def test_an_application_that_ignores_everything_is_killed() -> None:
    with running() as server, connect(server.websocket_url("/busy")):
        started = time.monotonic()
        assert server.stop() == 0
        assert 4 < time.monotonic() - started < 9
        assert "websocket cancelled" in server.lines


def test_a_client_that_does_not_read_cannot_hold_the_shutdown() -> None:
    with running() as server, server.connect() as client:
        client.sendall(b"GET /flood/200 HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: state(server)["blocked"])
        assert server.stop() == 0


def test_a_thread_of_abandoned_work_cannot_hold_the_exit() -> None:
    with running() as server:
        httpx.get(server.url + "/ignore")
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 12
        assert "exiting without them" in server.output


def test_a_signal_right_after_a_websockets_handshake_leaves_nothing_in_the_log() -> None:
    with running() as server, connect(server.websocket_url("/echo")):
        assert server.stop() == 0
        assert "Traceback" not in server.output


@pytest.mark.parametrize("root", [b"/elsewhere", b"/state", b"\xff", b"%00", b"x" * 4000])
def test_no_client_says_where_the_site_is_mounted(root: bytes) -> None:
    with running() as server:
        headers = {b"Daphne-Root-Path": root}
        answer = httpx.get(server.url + "/state", headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 200
        with connect(
            server.websocket_url("/echo"), additional_headers={"Daphne-Root-Path": "/elsewhere"}
        ) as client:
            client.send("x")
            assert client.recv() == "x"


# Other servers


def test_uvicorn_with_an_open_stream_drains_at_once_and_exits() -> None:
    with running(*UVICORN, DRAIN="0.5") as server:
        stream = Stream(server)
        started = time.monotonic()
        server.signal()
        server.expect("^stop_claiming$", timeout=2)
        assert server.wait() in (0, -signal.SIGTERM)
        assert time.monotonic() - started < 5
        stream.join()
        assert (stream.end, stream.received[-1]) == (None, "data: bye")
        assert server.lines.count("drained") == 1


def test_uvicorn_cannot_be_made_to_skip_the_drain_by_more_signals() -> None:
    with running(*UVICORN, DRAIN="1.5") as server:
        server.expect("running on")
        for _ in range(3):
            server.signal(signal.SIGINT)
            time.sleep(0.2)
        server.wait()
        assert "drained" in server.lines
        assert server.output.count("already draining") == 1


def test_uvicorn_does_not_serve_after_a_failed_start() -> None:
    with running(*UVICORN, START="fails") as server:
        assert server.wait() == 3
        assert "the pool did not open" in server.output


def test_a_plain_daphne_opens_with_the_first_request_and_drains_before_it_exits() -> None:
    with running(*DAPHNE, DRAIN="1") as server:
        assert "opened" not in server.output
        assert [httpx.get(server.url + "/").text for _ in range(3)] == ["0"] * 3
        assert server.lines.count("opened execute=True") == 1
        server.signal()
        server.expect("^draining$")
        server.signal()
        assert server.wait() == 0
        assert "drained" in server.lines


def test_a_plain_daphne_answers_503_if_the_start_failed() -> None:
    with running(*DAPHNE, START="refuses") as server:
        for _ in range(2):
            response = httpx.get(server.url + "/")
            assert response.status_code == 503
            assert response.json() == {"detail": "Another process executes runs on this database."}
        with pytest.raises(InvalidStatus):
            connect(server.websocket_url("/echo"))
        assert server.stop() == 0


# While it serves


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4404])
def test_a_websocket_closes_with_any_code_and_its_reason(server: Process, code: int) -> None:
    with connect(server.websocket_url(f"/close/{code}")) as websocket:
        with pytest.raises(ConnectionClosed):
            websocket.recv()
        assert (websocket.close_code, websocket.close_reason) == (code, "because")


def test_a_websocket_message_above_the_limit_closes_it(server: Process) -> None:
    with connect(server.websocket_url("/echo")) as websocket:
        websocket.send("x" * (1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed):
            websocket.recv()
        assert websocket.close_code == 1009


def test_a_broken_handshake_leaves_no_traceback(server: Process) -> None:
    lines = len(server.lines)
    response = httpx.get(server.url + "/echo", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert response.status_code == 400
    assert httpx.get(server.url + "/").status_code == 200
    assert "Traceback" not in "\n".join(server.lines[lines:])


def test_an_error_in_the_application_is_answered_and_logged(server: Process) -> None:
    assert httpx.get(server.url + "/error").status_code == 500
    server.expect("an error inside the application")


def test_who_writes_to_a_client_that_does_not_read_waits(server: Process) -> None:
    before = state(server)
    with server.connect() as client:
        client.sendall(b"GET /flood/400 HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: state(server)["blocked"])
        after = state(server)
        # More than the kernel's two buffers and ours hold.
        assert after["sent"] - before["sent"] < 20_000_000
        assert after["rss"] - before["rss"] < 20_000_000

        received = 0
        while received < 50_000_000:
            received += len(client.recv(1 << 20))


def test_who_writes_to_a_websocket_that_does_not_read_waits() -> None:
    with running() as server:
        before = state(server)
        with server.connect() as client:
            client.sendall(
                b"GET /flood/400 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            eventually(lambda: state(server)["blocked"])
            after = state(server)
            assert after["sent"] - before["sent"] < 20_000_000
            assert after["rss"] - before["rss"] < 20_000_000

            # If a client sends a close frame before it reads the rest, both ends close.
            client.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
            while client.recv(1 << 20):
                pass
            server.expect("^websocket 1000$", timeout=5)
        assert server.stop() == 0


@pytest.mark.parametrize("scheme", ["http", "websocket"])
def test_a_client_that_reads_gets_everything(server: Process, scheme: str) -> None:
    size = 0
    if scheme == "http":
        with httpx.stream("GET", server.url + "/flood/100", timeout=60) as response:
            size = sum(len(chunk) for chunk in response.iter_bytes())
    else:
        with connect(server.websocket_url("/flood/100")) as websocket:
            size = sum(len(message) for message in websocket)
    assert size == 100 * 1024 * 1024


def test_a_websocket_whose_application_does_not_read_stops_its_client() -> None:
    with running(DRAIN="0.1") as server, connect(server.websocket_url("/deaf")) as websocket:
        before = state(server)["rss"]
        sent = 0

        def flood() -> None:
            nonlocal sent
            try:
                while sent < 400:
                    websocket.send("x" * 1_000_000)
                    sent += 1
            except (ConnectionClosed, OSError):
                pass

        sender = threading.Thread(target=flood)
        sender.start()
        eventually(lambda: sent >= 1)
        sender.join(2)
        assert sender.is_alive()
        assert sent < 100
        assert state(server)["rss"] - before < 150_000_000
        assert server.stop() == 0
        sender.join()


# Large bodies


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def either(request: pytest.FixtureRequest, server: Process) -> Iterator[Process]:
    if request.param == "daphne":
        yield server
    else:
        with running(*UVICORN) as uvicorn:
            yield uvicorn


def test_a_body_of_the_limit_is_read(either: Process) -> None:
    assert httpx.post(either.url + "/", content=b"x" * LIMIT).text == str(LIMIT)
    assert httpx.post(either.url + "/", content=iter([b"x" * LIMIT])).text == str(LIMIT)


def test_a_body_that_declares_more_is_refused_before_it_is_read(either: Process) -> None:
    requests = state(either)["requests"]
    with either.connect() as client:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
        client.sendall(head.encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"detail": "Request body is larger than 200000 bytes."}' in answer
    assert b"100 Continue" not in answer
    assert state(either)["requests"] == requests + 1, "only the request for the number itself"


def test_a_chunked_body_is_cut_off_at_the_limit(either: Process) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b"x" * 65536

    response = httpx.post(either.url + "/", content=endless(), timeout=30)
    assert response.status_code == 413
    assert response.json() == {"detail": "Request body is larger than 200000 bytes."}
    # The bytes that are read and dropped so that the answer arrives, and those in transit.
    assert sent < LINGER_BYTES + 16 * 1024 * 1024


def test_a_client_that_sees_the_refusal_late_still_gets_it(either: Process) -> None:
    for _ in range(5):
        assert httpx.post(either.url + "/", content=b"x" * 20_000_000).status_code == 413
    assert os.path.exists(f"/proc/{either.pid}")


async def test_a_client_that_sends_its_whole_body_first_gets_the_answer_too(either: Any) -> None:
    """Like asynchronous clients: what they send after the refusal is read and dropped."""
    async with httpx.AsyncClient(base_url=either.url, timeout=30) as client:
        for _ in range(8):
            response = await client.post("/", content=b"x" * 9_000_000)
            assert response.status_code == 413
            assert response.headers["Connection"] == "close"
