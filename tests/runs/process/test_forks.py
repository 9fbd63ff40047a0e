"""A forked child does not keep the lock that proves that its parent lives."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from runs.process.forks import not_inherited

CODE = """
import fcntl, os, sys, time
from runs.process.forks import not_inherited
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
with not_inherited(file.fileno()):
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free_although_its_child_lives(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    parent = subprocess.Popen([sys.executable, "-c", CODE, str(lock)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        with lock.open("a+") as file:
            parent.kill()
            parent.wait(10)
            os.kill(child, 0)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def test_after_the_context_a_descriptor_is_inherited_again(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        with not_inherited(file.fileno()):
            pass
        child = os.fork()
        if child == 0:
            file.write("from the child")
            file.flush()
            os._exit(0)
        os.waitpid(child, 0)
    assert (tmp_path / "file").read_text() == "from the child"


SERVING = """
import os, socket, sys, time
from runs.process.forks import network_not_inherited
listener = socket.create_server(("127.0.0.1", 0))
pipe, other = socket.socketpair()
with network_not_inherited():
    print(listener.getsockname()[1], flush=True)
    client, _ = listener.accept()
    child = os.fork()
    if child == 0:
        other.send(b"the child's")
        time.sleep(60)
    print(child, pipe.recv(20).decode(), flush=True)
    time.sleep(60)
"""


def test_a_killed_servers_port_and_clients_are_free_although_its_child_lives() -> None:
    parent = subprocess.Popen([sys.executable, "-c", SERVING], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        child, told = parent.stdout.readline().split(maxsplit=1)
        assert told.strip() == "the child's", "its connection to its parent stays open"
        try:
            parent.kill()
            parent.wait(10)
            os.kill(int(child), 0)
            assert client.recv(1) == b"", "its clients learn that it is gone"
            with socket.create_server(("127.0.0.1", port)):
                pass
        finally:
            os.kill(int(child), signal.SIGKILL)
            parent.stdout.close()


def test_without_a_server_a_childs_network_is_its_own() -> None:
    """A process manager forks its workers with the socket that they listen on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = os.fork()
        if child == 0:
            os._exit(0 if listener.getsockname()[1] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
