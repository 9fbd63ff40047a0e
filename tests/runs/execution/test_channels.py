"""What a channel has given out for a checkpoint does not change any more."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.channels import NamedBarrierValue, Topic
from langgraph.channels.named_barrier_value import NamedBarrierValueAfterFinish

from runs.execution import channels, loops


@pytest.mark.parametrize(
    ("channel", "saved"),
    [
        (NamedBarrierValue(str, {"a", "b"}), {"a"}),
        (NamedBarrierValueAfterFinish(str, {"a", "b"}), ({"a"}, False)),
        (Topic(str, accumulate=True), ["a"]),
    ],
)
def test_a_checkpoint_of_a_channel_stays_as_it_was(channel: Any, saved: Any) -> None:
    loops.install()
    channel.update(["a"])
    checkpoint = channel.checkpoint()
    channel.update(["b"])
    assert checkpoint == saved
    assert channel.from_checkpoint(checkpoint).checkpoint() == saved


def test_plain_langgraph_gives_out_the_set_that_it_changes() -> None:
    """The deviation in docs/reference/upstream.md. A failure means that LangGraph has changed."""
    channel = NamedBarrierValue(str, {"a", "b"})
    channel.update(["a"])
    checkpoint = channels._original(channel)
    channel.update(["b"])
    assert checkpoint == {"a", "b"}
