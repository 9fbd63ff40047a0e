"""The proxy's faults behave as the fault tests assume."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.processes.harness import eventually
from tests.processes.proxy import Proxy

ENOUGH = 1.0


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of an echo server."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(accepted,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with Proxy(listener.getsockname()[1]) as made:
            yield made
        listener.shutdown(socket.SHUT_RDWR)


def echo(accepted: socket.socket) -> None:
    with accepted:
        try:
            while data := accepted.recv(65536):
                accepted.sendall(data)
        except OSError:
            pass


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with closing(connect(proxy)) as made:
        yield made


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def said(client: socket.socket, data: bytes) -> bytes:
    """Send data; return the echo."""
    client.sendall(data)
    return heard(client, len(data))


def heard(client: socket.socket, count: int) -> bytes:
    back = b""
    while len(back) < count:
        data = client.recv(65536)
        assert data, "The connection was closed."
        back += data
    return back


def silent(client: socket.socket, seconds: float) -> bool:
    client.settimeout(seconds)
    try:
        client.recv(1)
        return False
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)


def test_everything_passes_both_ways(client: socket.socket) -> None:
    data = bytes(range(256)) * 20_000
    sending = threading.Thread(target=client.sendall, args=(data,))
    sending.start()
    assert heard(client, len(data)) == data
    sending.join()


@pytest.mark.parametrize("ways", [{"up": 0.3}, {"down": 0.3}])
def test_a_delay_holds_up_one_way_without_holding_up_what_follows(
    proxy: Proxy, client: socket.socket, ways: dict[str, float]
) -> None:
    proxy.delay(**ways)
    began = time.monotonic()
    for _ in range(5):
        client.sendall(b"x")
        time.sleep(0.05)
    heard(client, 5)
    assert 0.3 <= time.monotonic() - began < 0.3 + ENOUGH


@pytest.mark.parametrize("ways", [{}, {"up": False}, {"down": False}])
def test_a_partition_is_silent_and_what_was_sent_arrives_when_it_heals(
    proxy: Proxy, client: socket.socket, ways: dict[str, bool]
) -> None:
    assert said(client, b"before") == b"before"
    proxy.silence(**ways)
    client.sendall(b"meanwhile")
    with closing(connect(proxy)) as late:
        late.sendall(b"late")
        assert silent(client, 0.3)
        assert silent(late, 0.3)
        proxy.heal()
        assert heard(client, 9) == b"meanwhile"
        assert heard(late, 4) == b"late"


def test_a_partition_that_is_forgotten_resets_what_was_open(proxy: Proxy, client: socket.socket) -> None:
    assert said(client, b"before") == b"before"
    proxy.silence()
    proxy.heal(reset=True)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with closing(connect(proxy)) as again:
        assert said(again, b"again") == b"again"


def test_refused_connections_do_not_touch_open_ones(proxy: Proxy, client: socket.socket) -> None:
    assert said(client, b"before") == b"before"
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    assert said(client, b"still") == b"still"
    proxy.heal()
    with closing(connect(proxy)) as again:
        assert said(again, b"again") == b"again"


def test_connections_are_cut_and_counted(proxy: Proxy, client: socket.socket) -> None:
    assert said(client, b"before") == b"before"
    assert proxy.connections == 1
    assert proxy.cut() == 2
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    eventually(lambda: proxy.connections == 0)
    assert proxy.accepted == 1


def test_the_end_of_one_side_ends_the_other(proxy: Proxy, client: socket.socket) -> None:
    assert said(client, b"before") == b"before"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    eventually(lambda: proxy.connections == 0)
