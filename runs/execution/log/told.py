"""What earlier attempts have already streamed of the superstep in which a run resumes. Pure.

When LangGraph resumes, it streams the state that it resumes from, and the updates of finished
tasks, a second time. Readers that append what they receive would show both twice.

A state is streamed again if parts of messages have followed it: they are of a model call that is
repeated, and pages discard them when they receive the state (`useStream` of the stock SDK).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from runs.encoding import decode, encode
from runs.protocols.agent.items import PACK

#: The modes that are streamed again.
MODES = frozenset({"values", "updates"})


class Key(NamedTuple):
    """Identifies an event by its content, without its time."""

    mode: str
    root: bool
    digest: bytes


class Told:
    """The events since the last state of the root graph, including that state.

    Args:
        rows: The rows of earlier attempts in the log (name, JSON), the newest first.
    """

    def __init__(self, rows: Iterable[tuple[str, str]] = ()) -> None:
        self._left: Counter[Key] = Counter()
        #: Whether parts of messages have followed the state.
        self._partial = False
        for key in (key for row in rows for key in _keys(*row)):
            self._partial = self._partial or key.mode == "messages"
            if key.mode in MODES:
                self._left[key] += 1
            if key.mode == "values" and key.root:
                break

    def again(self, name: str, data: str) -> bool:
        """Whether an event repeats one that was already streamed; each of those counts once. The
        first new state ends all repeats.

        Args:
            data: The JSON of a row, or of a single item, never of a row of several items.
        """
        if not self._left:
            return False
        key = _item(decode(data)) if name == PACK else _row(name, data)
        if self._left[key] > 0:
            self._left[key] -= 1
            return not (self._partial and key.mode == "values")
        if key.mode == "values" and key.root:
            self._left.clear()
        return False


def _keys(name: str, data: str) -> Iterable[Key]:
    """The events of a row of the log, the newest first."""
    return (_item(item) for item in reversed(decode(data))) if name == PACK else [_row(name, data)]


def _row(name: str, data: str) -> Key:
    mode, _, namespace = name.partition("|")
    return Key(mode, not namespace, _digest(f"{name}\n{data}"))


def _item(item: Any) -> Key:
    mode, namespace, _, data = item
    # Marked as an item, because the same event may also be a separate row.
    return Key(mode, not namespace, _digest(encode([PACK, mode, namespace, data])))


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="surrogatepass")).digest()
