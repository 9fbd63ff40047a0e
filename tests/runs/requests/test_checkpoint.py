"""The length of a checkpoint's address. What else is accepted is tested with the request for a run."""

from __future__ import annotations

from typing import Any

import pytest

from runs.exceptions import InvalidRequest
from runs.requests.checkpoint import MAX_NAMESPACE, MOST_PLACES, sanitised_checkpoint

CHECKPOINT = "1f1e75a5-9a6e-67a1-8000-5746332c3175"


def places(count: int) -> dict[str, Any]:
    return {"checkpoint_map": {f"a:{number}": CHECKPOINT for number in range(count)}}


def test_a_map_has_few_namespaces() -> None:
    assert sanitised_checkpoint(places(MOST_PLACES)) == places(MOST_PLACES)
    with pytest.raises(InvalidRequest, match=r"checkpoint_map has at most 1000 namespaces\."):
        sanitised_checkpoint(places(MOST_PLACES + 1))


@pytest.mark.parametrize("unit", ["x", "é", "\ud800"])
def test_a_namespace_is_short(unit: str) -> None:
    longest = unit * (MAX_NAMESPACE // len(unit.encode(errors="surrogatepass")))
    named = {"checkpoint_id": CHECKPOINT, "checkpoint_ns": longest}
    assert sanitised_checkpoint(named) == named
    for longer in (
        {**named, "checkpoint_ns": longest + unit},
        {"checkpoint_map": {longest + unit: CHECKPOINT}},
    ):
        with pytest.raises(InvalidRequest, match="at most 2000 bytes"):
            sanitised_checkpoint(longer)
