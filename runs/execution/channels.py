"""LangGraph's channels, whose checkpoints must stay as they were made.

A checkpoint is saved beside the graph's next step, or after its last one. A channel that gives out
the set or list that it goes on to change has later values saved under an earlier version: after a
crash, a node that waited for several others would never be executed (LangGraph 1.2).
`tests/runs/execution/test_channels.py` fails when LangGraph changes.
"""

from __future__ import annotations

from typing import Any

from langgraph.channels import NamedBarrierValue, Topic
from langgraph.channels.named_barrier_value import NamedBarrierValueAfterFinish

_original = NamedBarrierValue.checkpoint


def _seen(channel: Any) -> set[Any]:
    return set(channel.seen)


def _seen_and_finished(channel: Any) -> tuple[set[Any], bool]:
    return set(channel.seen), channel.finished


def _values(channel: Any) -> list[Any]:
    return list(channel.values)


def install() -> None:
    """Let the channels of this process give out copies."""
    NamedBarrierValue.checkpoint = _seen  # type: ignore[method-assign, assignment]
    NamedBarrierValueAfterFinish.checkpoint = _seen_and_finished  # type: ignore[method-assign, assignment]
    Topic.checkpoint = _values  # type: ignore[method-assign, assignment]
