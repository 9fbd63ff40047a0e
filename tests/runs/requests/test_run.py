"""Which requests for a run are accepted, and which are always refused."""

from __future__ import annotations

from typing import Any

import pytest

from runs.exceptions import InvalidRequest
from runs.requests.run import (
    BOTH_CONFIGURABLE_AND_CONTEXT,
    RESERVED_CONFIGURABLE,
    RESERVED_METADATA,
    ContradictoryRequest,
    RunRequest,
    sanitised,
)

CHECKPOINT = "1f1e75a5-9a6e-67a1-8000-5746332c3175"


def request(*, stateless: bool = False, **fields: Any) -> RunRequest:
    return sanitised(RunRequest(assistant_id="steps", **fields), stateless=stateless)


PREFIXED = ["__pregel_checkpointer", "__anything", "langgraph_auth_user", "langgraph_auth_permissions"]


@pytest.mark.parametrize("name", sorted(RESERVED_CONFIGURABLE) + PREFIXED)
def test_reserved_names_of_configurable_never_pass(name: str) -> None:
    value = {"checkpoint_id": CHECKPOINT, "checkpoint_map": {}}.get(name, "x")
    config = request(config={"configurable": {name: value, "mine": 1}}).config
    assert config == {"configurable": {"mine": 1}}


@pytest.mark.parametrize("name", sorted(RESERVED_METADATA) + PREFIXED)
def test_reserved_names_of_metadata_never_pass(name: str) -> None:
    asked = request(metadata={name: "x", "mine": 1}, config={"metadata": {name: "y", "theirs": 2}})
    assert asked.metadata == {"theirs": 2, "mine": 1}


def test_of_a_configuration_only_the_known_keys_pass() -> None:
    config = {
        "tags": ["a"],
        "recursion_limit": 5,
        "max_concurrency": 2,
        "callbacks": ["x"],
        "run_id": "y",
        "store": {},
    }
    assert request(config=config).config == {"tags": ["a"], "recursion_limit": 5, "max_concurrency": 2}


@pytest.mark.parametrize("limit", [0, -1, 1001, 1.5, "10", True, [5]])
def test_a_recursion_limit_out_of_range_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidRequest, match="recursion_limit must be a whole number between 1 and 1000"):
        request(config={"recursion_limit": limit})


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_recursion_limit_in_range_passes(limit: int) -> None:
    assert request(config={"recursion_limit": limit}).config == {"recursion_limit": limit}


@pytest.mark.parametrize("tags", ["a", [1], ["x" * 257], ["a"] * 101])
def test_tags_are_bounded(tags: Any) -> None:
    with pytest.raises(InvalidRequest, match="tags must be a list of at most"):
        request(config={"tags": tags})


@pytest.mark.parametrize("key", ["configurable", "metadata"])
def test_parts_of_a_configuration_must_be_objects(key: str) -> None:
    with pytest.raises(InvalidRequest, match=f"config.{key} must be an object"):
        request(config={key: ["x"]})


def test_configurable_and_context_contradict_each_other() -> None:
    with pytest.raises(ContradictoryRequest) as caught:
        request(config={"configurable": {"a": 1}}, context={"b": 2})
    assert str(caught.value) == BOTH_CONFIGURABLE_AND_CONTEXT


def test_reserved_names_contradict_nothing() -> None:
    assert request(config={"configurable": {"thread_id": "x"}}, context={"b": 2}).context == {"b": 2}


def test_configurable_and_context_are_two_names_of_the_same_values() -> None:
    by_config = request(config={"configurable": {"k": 1, "run_id": "x"}, "tags": ["t"]})
    assert (by_config.config, by_config.context) == ({"configurable": {"k": 1}, "tags": ["t"]}, {"k": 1})
    by_context = request(config={"tags": ["t"]}, context={"k": 2, "run_id": "x"})
    assert by_context.config == {"configurable": {"k": 2}, "tags": ["t"]}
    assert by_context.context == {"k": 2, "run_id": "x"}
    neither = request(config={"tags": ["t"]})
    assert (neither.config, neither.context) == ({"tags": ["t"]}, {})


# --- answers


def test_an_answer_needs_a_thread() -> None:
    with pytest.raises(ContradictoryRequest, match="You must provide a thread_id when resuming"):
        request(stateless=True, command={"resume": "yes"})


# --- checkpoints


def test_a_checkpoint_names_where_to_go_on_but_never_another_thread() -> None:
    asked = {"thread_id": "other", "checkpoint_id": CHECKPOINT, "checkpoint_ns": "", "other": 1}
    assert request(checkpoint=asked).checkpoint == {"checkpoint_id": CHECKPOINT, "checkpoint_ns": ""}


def test_a_checkpoint_may_stand_in_configurable_too() -> None:
    asked = request(config={"configurable": {"checkpoint_id": CHECKPOINT, "mine": 1}})
    assert asked.checkpoint == {"checkpoint_id": CHECKPOINT}
    assert asked.config == {"configurable": {"mine": 1}}


def test_a_checkpoint_without_an_id_is_the_latest() -> None:
    assert request(checkpoint={"checkpoint_ns": ""}).checkpoint is None


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"checkpoint_id": "x"},
        {"checkpoint_id": 5},
        {"checkpoint_map": {"": "x"}},
        {"checkpoint_map": [1]},
        {"checkpoint_ns": 1},
    ],
)
def test_what_is_no_checkpoint_is_refused(checkpoint: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        request(checkpoint=checkpoint)


def test_a_stateless_run_has_no_checkpoint_to_go_on_from() -> None:
    assert request(stateless=True, checkpoint={"checkpoint_id": CHECKPOINT}).checkpoint is None


# --- the rest


def test_only_a_stateless_run_may_take_its_thread_with_it() -> None:
    assert not request(on_completion="delete").temporary
    assert request(stateless=True, on_completion="delete").temporary
    assert not request(stateless=True, on_completion="keep").temporary


@pytest.mark.parametrize("seconds", [-1, 1e12, float("inf"), float("nan")])
def test_a_delay_is_bounded(seconds: float) -> None:
    with pytest.raises(InvalidRequest, match="after_seconds must be between"):
        request(after_seconds=seconds)


def test_modes_are_named_once_and_values_are_the_default() -> None:
    assert request(stream_modes=["updates", "values", "updates"]).stream_modes == ["updates", "values"]
    assert request(stream_modes=[]).stream_modes == ["values"]
