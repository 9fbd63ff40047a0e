"""Large events of a run that repeat most of an earlier one, stored as what is different. Pure.

A run that tells its whole state after each step writes the same text many times over. Of such an event the log keeps where
it is like an earlier one of the same kind, which is stored whole, and the text between:

    ~17 [[0, 2000000], "the new text", [2000000, 12]]

"Like event 17 of the attempt: its first two million characters, the new text, twelve more." JSON never begins with `~`.
A text is compared with one other, where both are alike: the time is proportional to its length, whatever it says.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence

import orjson

from runs.encoding import encode
from runs.protocols.agent.items import PACK

MARK = "~"
#: Characters from which on an event is worth a comparison.
LARGE = 4096
#: How much of an event must be like the earlier one: a half saves more than it costs to put it together again.
WORTH = 2
#: Whole events that are remembered, and how long each may be, in characters.
MOST_BASES, LONGEST_BASE = 4, 4 * 1024 * 1024
#: After a difference, how far the two go on alike again, and how many characters must be alike there.
WINDOW, ALIKE = 64, 32
#: Differences at most; times and counters within an event are some.
MOST_PIECES = 64
#: What events have in common that are likely alike: an item's mode and namespace, which come before its time.
_HEAD = re.compile(r'\[\["\w+",\[[^\]]{0,1000}\],')

Piece = str | list[int]


class Shortener:
    """Shortens the events of one attempt, each of which is given to it once, in order."""

    def __init__(self) -> None:
        #: Whole events by kind, with their numbers.
        self._bases: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()

    def short(self, seq: int, name: str, data: str) -> str | None:
        """How an event is stored, if not as it is."""
        if len(data) < LARGE:
            return None
        head = _HEAD.match(data) if name == PACK else None
        kind = (name, head.group() if head else "")
        if (base := self._bases.get(kind)) is not None:
            self._bases.move_to_end(kind)
            pieces = difference(base[1], data)
            told = sum(len(piece) for piece in pieces if isinstance(piece, str))
            if told * WORTH < len(data):
                return f"{MARK}{base[0]} {encode(pieces)}"
        if len(data) <= LONGEST_BASE:
            self._bases[kind] = (seq, data)
            if len(self._bases) > MOST_BASES:
                self._bases.popitem(last=False)
        return None


def base_of(data: str) -> int | None:
    """The number of the event that a stored one is like; None for one that is stored whole."""
    return int(data[1 : data.index(" ")]) if data.startswith(MARK) else None


def whole(data: str, base: str) -> str:
    """An event as it was, from how it is stored and the event that it is like."""
    pieces: Sequence[Piece] = orjson.loads(data[data.index(" ") :])
    return "".join(
        piece if isinstance(piece, str) else base[piece[0] : piece[0] + piece[1]] for piece in pieces
    )


def difference(old: str, new: str) -> list[Piece]:
    """The new text in pieces: texts, and places of the old one (from where, how many characters)."""
    end = common_end(old, new)
    pieces: list[Piece] = []
    at = there = 0  # in the old text, in the new one
    stop = len(new) - end
    while there < stop and len(pieces) < MOST_PIECES:
        if same := common_start(old, new, at, there, min(len(old) - at, stop - there)):
            pieces.append([at, same])
            at, there = at + same, there + same
            continue
        # A number of as many digits, most likely.
        for step in range(1, WINDOW):
            if old[at + step : at + step + ALIKE] == new[there + step : there + step + ALIKE] != "":
                pieces.append(new[there : there + step])
                at, there = at + step, there + step
                break
        else:
            break
    if there < stop:
        pieces.append(new[there:stop])
    if there > stop:
        # The last step went into what is alike at the end.
        end -= there - stop
    if end:
        pieces.append([len(old) - end, end])
    return pieces


def common_start(old: str, new: str, at: int, there: int, most: int) -> int:
    """How many characters, `most` at most, two texts have in common from these places on."""
    return _longest(most, lambda a, b: old[at + a : at + b] == new[there + a : there + b])


def common_end(old: str, new: str) -> int:
    """How many characters two texts have in common at their ends."""
    mine, theirs = len(old), len(new)
    return _longest(min(mine, theirs), lambda a, b: old[mine - b : mine - a] == new[theirs - b : theirs - a])


def _longest(most: int, alike: Callable[[int, int], bool]) -> int:
    """The largest length up to `most` of which each part is alike.

    It compares long parts, because one comparison of slices costs less than a loop over characters.

    Args:
        alike: Whether the part between two distances from the beginning is alike.
    """
    length, step = 0, 1024
    while length < most:
        size = min(step, most - length)
        if alike(length, length + size):
            length += size
            step *= 2
        elif size == 1:
            break
        else:
            step = size // 2
    return length
