"""What a forked child of this process must not keep: the proofs that this process lives.

A lock of a file and a session of PostgreSQL end with the last process that has them open. A graph that forks
(`multiprocessing`, by its default on Linux up to Python 3.13) would hand them to a child that may outlive its parent,
and the dead parent would pass for alive for as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_held: set[int] = set()


@contextmanager
def not_inherited(descriptor: int) -> Iterator[None]:
    """Close a file descriptor in every child that is forked while the context lasts."""
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)


def _let_go() -> None:
    # Another file takes the number: the child's copies of Python's objects may still close it.
    if _held:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in _held:
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


os.register_at_fork(after_in_child=_let_go)
