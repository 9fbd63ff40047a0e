"""Filters of protocol events, and commands, as on the reference server."""

from __future__ import annotations

from typing import Any

import pytest

from runs.exceptions import InvalidRequest
from runs.protocols.agent.commands import ProtocolError, parse_command
from runs.protocols.agent.events import ProtocolEvent, epoch_of, first_of
from runs.protocols.agent.filters import parse_filter


def event(method: str = "values", namespace: tuple[str, ...] = (), **fields: Any) -> ProtocolEvent:
    return ProtocolEvent("1-1", method, namespace, 0, "{}", **{"seq": 5, **fields})


@pytest.mark.parametrize(
    ("params", "given", "passes"),
    [
        ({"channels": ["values"]}, event(), True),
        ({"channels": ["values"]}, event("updates"), False),
        ({"channels": ["input"]}, event("input.requested"), True),
        ({"channels": ["custom"]}, event("custom", name="a"), True),
        ({"channels": ["custom:a"]}, event("custom", name="a"), True),
        ({"channels": ["custom:a"]}, event("custom", name="b"), False),
        ({"channels": ["custom:a"]}, event("custom"), False),
        ({"channels": ["values"], "since": 4}, event(), True),
        ({"channels": ["values"], "since": 5}, event(), False),
        ({"channels": ["values"], "namespaces": []}, event(namespace=("sub:1",)), True),
        ({"channels": ["values"], "namespaces": [[]], "depth": 0}, event(), True),
        ({"channels": ["values"], "namespaces": [[]], "depth": 0}, event(namespace=("sub:1",)), False),
        ({"channels": ["values"], "namespaces": [[]], "depth": 1}, event(namespace=("sub:1",)), True),
        ({"channels": ["values"], "namespaces": [["sub"]]}, event(namespace=("sub:1", "x:2")), True),
        (
            {"channels": ["values"], "namespaces": [["sub"]], "depth": 0},
            event(namespace=("sub:1", "x:2")),
            False,
        ),
        ({"channels": ["values"], "namespaces": [["sub:1"]]}, event(namespace=("sub:1",)), True),
        ({"channels": ["values"], "namespaces": [["sub:2"]]}, event(namespace=("sub:1",)), False),
        ({"channels": ["values"], "namespaces": [["sub:1"]]}, event(), False),
    ],
)
def test_what_passes_a_filter(params: dict[str, Any], given: ProtocolEvent, passes: bool) -> None:
    assert parse_filter(params).matches(given) is passes


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "channels is required and must be a non-empty array"),
        ({"channels": []}, "channels is required and must be a non-empty array"),
        ({"channels": ["bogus"]}, "channels contains unsupported entries: bogus. Allowed: values, "),
        ({"channels": [{"a": 1}]}, "channels contains unsupported entries"),
        ({"channels": ["custom:"]}, "channels contains unsupported entries"),
        ({"channels": ["values"], "namespaces": ["x"]}, "namespaces must be an array of arrays of strings"),
        ({"channels": ["values"], "depth": -1}, "depth must be a non-negative integer"),
        ({"channels": ["values"], "since": True}, "since must be a non-negative integer"),
    ],
)
def test_what_is_no_filter(params: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match="^" + said.replace(".", r"\.")):
        parse_filter(params)


@pytest.mark.parametrize("payload", [None, [], {"method": "x"}, {"id": "1", "method": "x"}, {"id": True, "method": "x"}, {"id": -1, "method": "x"}, {"id": 1}])  # fmt: skip
def test_what_is_no_command(payload: Any) -> None:
    with pytest.raises(ProtocolError, match="must include an integer id and string method"):
        parse_command(payload)


def test_numbers_grow_along_epochs_and_begin_at_one() -> None:
    assert first_of(1) + 1 == 1
    assert [epoch_of(first_of(epoch) + 1) for epoch in (1, 2, 77)] == [1, 2, 77]
    assert first_of(2**21) < 2**53
