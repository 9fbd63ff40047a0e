"""What the generated graphs work around, pinned until LangGraph changes."""

from __future__ import annotations

from collections.abc import Callable

from langgraph.types import CachePolicy


def test_the_default_cache_key_tells_equal_inputs_apart() -> None:
    """If it fails, keys are made of values, and `building` may use the default again."""
    key: Callable[..., object] = CachePolicy().key_func
    first, equal = (" ".join(["a", "topic"]) for _ in range(2))
    assert [first, first] == [first, equal]
    assert key({"log": [first, first]}) != key({"log": [first, equal]})
