"""Websockets under Daphne: clients that do not read, do not answer, or send what they should not."""

from __future__ import annotations

import os
import socket as sockets
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import pytest

from tests.runs.server.processes import Process, running
from tests.runs.server.test_daphne import eventually, state
from tests.support.raw_sockets import CLOSE, CONTINUED, PING, PONG, TEXT, Raw, frame

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with running(SOCKET_STALL="2", SOCKET_PING="1", SOCKET_PONG="2") as process:
        yield process


def resident(server: Process) -> int:
    """Bytes of memory of a server that has started."""
    assert server.port
    with open(f"/proc/{server.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_client_that_reads_nothing_is_closed_with_its_code_and_costs_little(server: Process) -> None:
    before, sent = resident(server), state(server)["sent"]
    with Raw(server.port, "/flood/400", receive_buffer=65536) as client:
        eventually(lambda: state(server)["blocked"])
        assert state(server)["sent"] - sent < 2_000_000
        assert resident(server) - before < 2_000_000
        began = time.monotonic()
        # Long enough to be closed, short enough to read the reason.
        time.sleep(5.5)
        code, reason = client.close_code()
        assert (code, reason) == (1013, "The client reads nothing of what is sent. Retry after 5 s.")
        assert time.monotonic() - began < 12


def test_a_client_that_never_reads_is_dropped_although_it_does_not_answer_the_close(server: Process) -> None:
    closings = server.output.count("websocket 1006")
    with Raw(server.port, "/flood/400", receive_buffer=65536):
        eventually(lambda: server.output.count("websocket 1006") > closings, timeout=15)


def test_a_response_whose_client_reads_nothing_is_cut_off(server: Process) -> None:
    with sockets.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET /flood/400 HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: state(server)["blocked"])
        time.sleep(5)
        with pytest.raises(ConnectionError):
            while client.recv(1 << 20):
                pass
            raise ConnectionAbortedError("ended without the last chunk")


def test_a_slow_client_that_reads_a_little_is_not_closed(server: Process) -> None:
    """It takes longer than `SOCKET_STALL` for each message, and it sees no ping in `SOCKET_PONG`."""
    with Raw(server.port, "/large/8", receive_buffer=65536) as client:
        began = time.monotonic()
        while time.monotonic() - began < 8:
            client.receive(40_000)
            time.sleep(0.05)
        frames = list(client.frames())
        assert max(len(payload) for _, payload in frames) == 8 << 20
        assert frames[-1][0] == CLOSE
        assert PING in [opcode for opcode, _ in frames]


def test_a_client_that_answers_no_ping_is_dropped(server: Process) -> None:
    with Raw(server.port, "/echo") as client:
        began = time.monotonic()
        assert [opcode for opcode, _ in client.frames()].count(PING) >= 1
        assert 2 < time.monotonic() - began < 9


def test_a_client_that_answers_pings_stays(server: Process) -> None:
    with Raw(server.port, "/echo") as client:
        for opcode, payload in islice(client.frames(), 3):
            assert opcode == PING
            client.send(frame(payload, opcode=PONG))
        client.send(frame(b"still there?"))
        assert (TEXT, b"still there?") in (next(client.frames()), next(client.frames()))


def test_a_client_that_pings_and_never_reads_fills_no_buffer() -> None:
    with running(SOCKET_STALL="30") as server, Raw(server.port, "/echo", receive_buffer=65536) as client:
        before = resident(server)
        pings = frame(b"x" * 125, opcode=PING) * 400
        for _ in range(400):
            client.send(pings)
        state(server)
        assert resident(server) - before < 3_000_000
        assert server.stop() == 0


@pytest.mark.parametrize("part", [b"", b"x"])
def test_a_message_of_endless_frames_is_refused(server: Process, part: bytes) -> None:
    before = resident(server)
    with Raw(server.port, "/echo") as client:
        client.send(frame(b"{", final=False))
        more = frame(part, opcode=CONTINUED, final=False) * 1000
        for _ in range(5):
            client.send(more)
        assert client.close_code()[0] == 1009
    assert resident(server) - before < 2_000_000


def test_a_frame_that_arrives_byte_by_byte_takes_its_size(server: Process) -> None:
    before = resident(server)
    with Raw(server.port, "/echo") as client:
        client.socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        client.send(frame(b"x" * 1_000_000)[:-20_000])
        for _ in range(20_000):
            client.send(b"x")
        found = next(payload for opcode, payload in client.frames() if opcode == TEXT)
        assert found == b"x" * 1_000_000
    assert resident(server) - before < 15_000_000


def test_compression_is_not_accepted_so_that_nothing_small_becomes_large(server: Process) -> None:
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    before = resident(server)
    with Raw(server.port, "/echo", headers=offer) as client:
        assert b"permessage-deflate" not in client.answer
        squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = squeezer.compress(b"x" * 200_000_000) + squeezer.flush(zlib.Z_SYNC_FLUSH)
        client.send(frame(bomb[:-4], reserved=0x40))
        assert client.close_code()[0] == 1002
    assert resident(server) - before < 3_000_000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"\xff\xfe"), 1007),
        (frame(b"x" * 1_100_000), 1009),
        (b"\x81\x05hello", 1002),  # not masked
        (frame(b"x", opcode=3), 1002),  # no such opcode
        (frame(b"x", opcode=CONTINUED), 1002),  # continues nothing
        (frame(b"x" * 126, opcode=PING), 1002),  # too long for a control frame
        (frame(b"", opcode=PING, final=False), 1002),
        (b"\x81\xff" + b"\xff" * 8 + b"\0" * 4, 1002),  # a length of 2**64 - 1
        (frame(b"x", final=False) + frame(b"y"), 1002),  # a message within a message
    ],
)
def test_what_is_no_websocket_message_is_closed_with_its_code(
    server: Process, data: bytes, code: int
) -> None:
    with Raw(server.port, "/echo") as client:
        client.send(data)
        assert client.close_code()[0] == code


def test_a_socket_that_is_open_for_long_is_told_to_come_back() -> None:
    with running(SOCKET_AGE="2") as server, Raw(server.port, "/echo") as client:
        code, reason = client.close_code()
        assert (code, reason) == (1001, "The socket was open for too long; connect again.")


def test_many_small_messages_of_one_client_do_not_block_the_others() -> None:
    # No client is late here, however busy the machine is.
    with running() as server, Raw(server.port, "/echo") as flooding, Raw(server.port, "/echo") as other:
        flooding.socket.setblocking(False)
        waits: list[float] = []
        small = frame(b"") * 10_000
        for _ in range(20):
            with suppress(BlockingIOError):
                flooding.socket.send(small)
            began = time.monotonic()
            other.send(frame(b"echo"))
            for opcode, payload in other.frames():
                if opcode == TEXT:
                    break
                other.send(frame(payload, opcode=PONG))
            waits.append(time.monotonic() - began)
            assert (opcode, payload) == (TEXT, b"echo")
        assert sorted(waits)[len(waits) // 2] < 0.5
