"""What a forked child of this process must not keep: the proofs that this process lives, and its ends of the network.

A lock of a file and a socket end with the last process that has them open. A graph that forks (`multiprocessing`, by
its default on Linux up to Python 3.13) would hand them to a child that may outlive its parent. The dead parent would
pass for alive for as long, its port would stay in use, and its clients would wait for a stream that nobody writes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Where a process finds its own file descriptors, on Linux and macOS.
DESCRIPTORS = "/dev/fd"

_held: set[int] = set()
_serving = 0


@contextmanager
def not_inherited(descriptor: int) -> Iterator[None]:
    """Close a file descriptor in every child that is forked while the context lasts."""
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)


@contextmanager
def network_not_inherited() -> Iterator[None]:
    """Close the network's sockets in every child that is forked while the context lasts, whichever server opened them.

    Pipes and Unix sockets stay: by them a child talks to its parent.
    """
    global _serving
    _serving += 1
    try:
        yield
    finally:
        _serving -= 1


def _let_go() -> None:
    closed = _held | _network() if _serving else _held
    # Another file takes the number: the child's copies of Python's objects may still close it.
    if closed:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in closed:
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


def _network() -> set[int]:
    """The descriptors of this process's sockets of the internet's families."""
    found = set()
    with suppress(OSError):
        for name in os.listdir(DESCRIPTORS):
            with suppress(OSError):
                opened = socket.socket(fileno=int(name))
                if opened.family in (socket.AF_INET, socket.AF_INET6):
                    found.add(int(name))
                opened.detach()
    return found


os.register_at_fork(after_in_child=_let_go)
