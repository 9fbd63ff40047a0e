"""Websockets of real servers: random input, too much of it, limits, and tickets of several processes."""

from __future__ import annotations

import json
import os
import random
import socket as sockets
import struct
import time
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from runs.protocols.agent.closing import CODES
from tests.processes.harness import SERVE, Process, Site, within
from tests.processes.protocol import Socket, new_thread, socket
from tests.processes.test_servers import SERVERS
from tests.support.raw_sockets import CLOSE, TEXT, Raw, frame

UNDER = {"serve": SERVE, "uvicorn": SERVERS["uvicorn"]}
#: Connections of the fuzzing, and the most memory that all of it may leave behind.
MANY, LEFT = 40, 120_000_000
METHODS = (
    "subscription.subscribe",
    "subscription.unsubscribe",
    "subscription.reconnect",
    "state.get",
    "agent.getTree",
    "?",
)


def raw(process: Process, thread: str | None = None, **options: object) -> Raw:
    port = urlsplit(process.url).port
    assert port is not None
    return Raw(port, f"/threads/{thread or new_thread()}/stream/events", **options)  # type: ignore[arg-type]


def resident(process: Process) -> int:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def some_value(draw: random.Random, depth: int = 0) -> object:
    kind = draw.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return draw.choice(
            [None, True, False, -1, 0, 2**63, 1e308, "", "values", "\x00", "\ud800", "x" * 5000]
        )
    if kind < 5:
        return draw.choice(
            [draw.randrange(1000), draw.choice(METHODS), "lifecycle", "custom:x", new_thread()]
        )
    if kind < 7:
        return [some_value(draw, depth + 1) for _ in range(draw.randrange(5))]
    return {
        draw.choice(["channels", "since", "depth", "namespaces", "id", "x"]): some_value(draw, depth + 1)
        for _ in range(3)
    }


def some_message(draw: random.Random) -> bytes:
    command = {
        "id": draw.choice([draw.randrange(9), some_value(draw)]),
        "method": draw.choice([draw.choice(METHODS), some_value(draw)]),
        "params": {"channels": some_value(draw), "since": some_value(draw), "namespaces": some_value(draw)},
    }
    text = json.dumps(draw.choice([command, command, some_value(draw)])).encode()
    if draw.random() < 0.2:
        place = draw.randrange(len(text))
        text = text[:place] + draw.randbytes(3) + text[place:]
    return text


def some_bytes(draw: random.Random) -> Iterator[bytes]:
    """What one client sends, in pieces that end anywhere."""
    for _ in range(draw.randrange(1, 12)):
        kind = draw.random()
        if kind < 0.6:
            data = frame(some_message(draw))
        elif kind < 0.8:
            data = frame(
                draw.randbytes(draw.randrange(300)), opcode=draw.randrange(16), final=draw.random() < 0.8
            )
        else:
            data = draw.randbytes(draw.randrange(1, 200))
        cut = draw.randrange(len(data) + 1)
        yield data[:cut]
        yield data[cut:] if draw.random() < 0.95 else b""


@pytest.mark.parametrize("server", UNDER)
def test_random_input_is_answered_or_closed_with_a_code_that_says_why(site: Site, server: str) -> None:
    process = site.start(*UNDER[server])
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    draw = random.Random(seed)
    before, known = resident(process), {each.code for each in CODES} - {1011}
    for _ in range(MANY):
        with raw(process) as client:
            try:
                for piece in some_bytes(draw):
                    client.send(piece)
                client.socket.shutdown(sockets.SHUT_WR)
            except OSError:
                pass  # The server has closed it.
            assert client.close_code()[0] in known
    assert resident(process) - before < LEFT
    with socket(process, new_thread()) as well:
        assert well.command("subscription.subscribe", channels=["values"])["type"] == "success"
    assert process.stop() in (0, -15)
    # Uvicorn itself logs a traceback of text that is not UTF-8; none may come from the project's code.
    assert "/runs/api/" not in process.log.read_text()


def test_messages_that_are_cut_anywhere_are_answered_like_whole_ones(shared: Site) -> None:
    draw = random.Random(7)
    with raw(shared.process) as client:
        expected = []
        for number in range(40):
            text = json.dumps({"id": number, "method": "subscription.unsubscribe", "params": {}}).encode()
            cuts = sorted(draw.sample(range(len(text)), 2))
            parts = [text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :]]
            data = (
                frame(parts[0], final=False)
                + frame(parts[1], opcode=0, final=False)
                + frame(parts[2], opcode=0)
            )
            place = draw.randrange(len(data))
            client.send(data[:place])
            client.send(data[place:])
            expected.append((number, "no_such_subscription"))
        answers = (json.loads(payload) for opcode, payload in client.frames() if opcode == TEXT)
        # Not one answer more than expected, because the next one would be waited for.
        found = list(islice(answers, len(expected)))
        assert [(each["id"], each["error"]) for each in found] == expected


@pytest.mark.parametrize("server", UNDER)
def test_a_compressed_bomb_costs_no_memory(site: Site, server: str) -> None:
    process = site.start(*UNDER[server])
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(b" " * 300_000_000) + squeezer.flush(zlib.Z_SYNC_FLUSH)
    before = resident(process)
    for _ in range(3):
        with raw(process, headers=b"Sec-WebSocket-Extensions: permessage-deflate\r\n") as client:
            client.send(frame(bomb[:-4], reserved=0x40))
            accepted = b"permessage-deflate" in client.answer
            assert client.close_code()[0] == (1009 if accepted else 1002)
    assert resident(process) - before < LEFT


def test_ten_thousand_subscriptions_are_a_hundred(shared: Site) -> None:
    process = shared.process
    before = resident(process)
    ask = frame(
        json.dumps({"id": 1, "method": "subscription.subscribe", "params": {"channels": ["values"]}}).encode()
    )
    with raw(process) as client:
        made = refused = 0
        frames = client.frames()
        for _ in range(100):
            client.send(ask * 100)
            for _ in range(100):
                _, payload = next(frames)
                answer = json.loads(payload)
                made += answer["type"] == "success"
                refused += answer.get("error") == "invalid_argument"
        assert (made, refused) == (100, 9_900)
        assert resident(process) - before < LEFT


def test_subscriptions_whose_answers_nobody_reads_are_bounded(site: Site) -> None:
    process = site.start(run_settings={"SOCKET_STALL": 3.0})
    before = resident(process)
    ask = frame(
        json.dumps(
            {"id": 1, "method": "subscription.subscribe", "params": {"channels": ["x" * 900]}}
        ).encode()
    )
    with raw(process, receive_buffer=4096) as client:
        client.socket.setblocking(False)
        # The server ends a client that has read nothing for its time; a read here would be a sign of life.
        sent, rest, end = 0, b"", time.monotonic() + within(20)
        while time.monotonic() < end:
            try:
                rest = rest or ask * 20
                taken = client.socket.send(rest)
                sent, rest = sent + taken, rest[taken:]
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                break
        # What is not answered is not read, and so it cannot be sent.
        assert sent < 30_000_000, sent
        assert resident(process) - before < LEFT
        client.socket.settimeout(20)
        assert client.close_code()[0] in (1013, 1006)


def test_a_client_that_sends_only_nonsense_is_closed(shared: Site) -> None:
    with raw(shared.process) as client:
        client.send(frame(b"nonsense") * 99 + frame(b'{"id": 1, "method": "?"}') + frame(b"nonsense") * 100)
        frames = list(client.frames())
        assert [opcode for opcode, _ in frames] == [TEXT] * 200 + [CLOSE]
        (code,) = struct.unpack("!H", frames[-1][1][:2])
        assert (code, frames[-1][1][2:]) == (4400, b"100 messages in a row were no commands.")


def closed(client: Socket) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        client.receive()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize("server", UNDER)
def test_limits_close_with_a_code_and_the_time_to_come_back(site: Site, server: str) -> None:
    process = site.start(*UNDER[server], run_settings={"SOCKETS": 2, "USER_CONNECTIONS": 1})
    with socket(process, new_thread()) as first:
        assert first.command("subscription.subscribe", channels=["values"])["type"] == "success"
        with socket(process, new_thread()) as second:
            assert closed(second) == (4429, "You have 1 open streams; close some. Retry after 5 s.")
    process.stop()
    process = site.start(*UNDER[server], run_settings={"SOCKETS": 1})
    with socket(process, new_thread()) as first:
        assert first.command("subscription.subscribe", channels=["values"])["type"] == "success"
        with socket(process, new_thread()) as second:
            assert closed(second) == (1013, "This server has too many open websockets. Retry after 5 s.")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket(process, new_thread()) as third:
            try:
                third.command("subscription.subscribe", channels=["values"])
                return
            except ConnectionClosed:
                time.sleep(0.1)
    raise AssertionError("The first socket is counted although it has ended.")


@pytest.mark.parametrize("server", UNDER)
def test_a_ticket_of_one_process_opens_one_socket_at_another_and_is_in_no_log(
    site: Site, server: str
) -> None:
    if site.database.settings.get("DATABASE_URL"):
        here, there = site.several(2)
    else:
        here = there = site.start(*UNDER[server])
    thread = new_thread()
    with httpx.Client(base_url=here.url, trust_env=False, timeout=20) as client:
        ticket = client.post(f"/threads/{thread}/ticket").json()["ticket"]
    with socket(there, thread, query=f"?ticket={ticket}") as opened:
        assert opened.command("subscription.subscribe", channels=["values"])["type"] == "success"
    with socket(here, thread, query=f"?ticket={ticket}") as again:
        assert closed(again) == (4409, "The ticket was used before.")
    for process in {here, there}:
        log = process.log.read_text()
        assert ticket not in log
