"""The ids of checkpoints and the versions of channels, in the stock savers' formats."""

from __future__ import annotations

from random import SystemRandom

from langgraph.checkpoint.base import id as ids

#: Not Python's own generator, which graphs may seed: two branches would then have the same versions.
random = SystemRandom()


def go_on_after(checkpoint_id: str) -> None:
    """Make later checkpoints of this process sort after this one, independent of its clock.

    A thread's state is its checkpoint with the greatest id, and LangGraph's ids begin with the wall
    clock's time. A clock behind that of the previous process, even by the second that a takeover
    takes, would make all new checkpoints sort before the old one and be lost.
    """
    made = ids.UUID(hex=checkpoint_id.replace("-", ""))
    if made.version == 6:
        ids._last_v6_timestamp = max(ids._last_v6_timestamp or 0, made.time)  # type: ignore[assignment]


def version_after(version: str | int | None) -> str:
    """The version after a channel's version. Its random part distinguishes the values of two
    branches.
    """
    number = int(str(version).split(".", 1)[0]) if version is not None else 0
    return f"{number + 1:032}.{random.random():016}"
