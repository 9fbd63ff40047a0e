"""Which namespaces and keys an item may have. Pure.

LangGraph's `validate_op_namespace` has the rules for labels; this module adds the limits of an
index.
"""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.store.base import InvalidNamespaceError, MatchCondition

from threads.db.namespaces import Namespace, encode
from threads.db.values.text import is_text
from threads.store.exceptions import InvalidKey

#: The most bytes of an encoded namespace, and of a key. An entry of a B-tree in PostgreSQL has at most 2704
#: bytes.
LONGEST_NAMESPACE, LONGEST_KEY = 1024, 1024
#: Matches any label in a condition.
ANY = "*"
#: The first label that LangGraph reserves.
RESERVED = "langgraph"


def check_place(namespace: Sequence[str], key: str) -> None:
    """Raise ValueError if the place is invalid for an item."""
    if not namespace:
        raise InvalidNamespaceError("Namespace cannot be empty.")
    if namespace[0] == RESERVED:
        raise InvalidNamespaceError(
            f'Root label for namespace cannot be "{RESERVED}". Got: {tuple(namespace)}'
        )
    if _size(encode(namespace)) > LONGEST_NAMESPACE:
        raise InvalidNamespaceError(f"A namespace cannot be longer than {LONGEST_NAMESPACE} bytes.")
    if not key:
        raise InvalidKey("A key cannot be empty.")
    if _size(key) > LONGEST_KEY:
        raise InvalidKey(f"A key cannot be longer than {LONGEST_KEY} bytes.")
    if not is_text(key):
        raise InvalidKey(f"The key {key!r} has characters that no database can store.")
    if not all(map(is_text, namespace)):
        raise InvalidNamespaceError(
            f"The namespace {tuple(namespace)} has characters that no database can store."
        )


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def matches(namespace: Namespace, condition: MatchCondition) -> bool:
    """Whether a namespace begins or ends with a condition's labels; `*` matches any label."""
    labels, wanted = namespace, tuple(condition.path)
    if condition.match_type == "suffix":
        labels, wanted = labels[::-1], wanted[::-1]
    return len(labels) >= len(wanted) and all(
        each in (ANY, label) for label, each in zip(labels, wanted, strict=False)
    )


def fixed(prefix: Sequence[str]) -> Sequence[str]:
    """The labels of a prefix before its first `*`."""
    return prefix[: prefix.index(ANY)] if ANY in prefix else prefix
