"""Closes in forked children what they must not keep: the locks that prove that this process lives,
and its sockets.

A file lock and a socket exist until the last process that has them open closes them. A graph that
forks (`multiprocessing`, by its default on Linux up to Python 3.13) would pass them to a child that
may outlive its parent. Until the child ends, the dead parent would seem alive, its port would stay
in use, and its clients would wait for a stream that has no writer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: The folder with a process's own file descriptors, on Linux and macOS.
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
    """Close all network sockets in every child that is forked while the context lasts, whichever
    library opened them.

    Pipes and Unix sockets stay open, because a child uses them to communicate with its parent.
    """
    global _serving
    _serving += 1
    try:
        yield
    finally:
        _serving -= 1


def _let_go() -> None:
    closed = _held | _network() if _serving else _held
    # Replace each descriptor by another file, because the child's copies of Python objects may still close
    # the number.
    if closed:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in closed:
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


def _network() -> set[int]:
    """The descriptors of this process's IPv4 and IPv6 sockets."""
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
