"""Whether a played story has a result that plain LangGraph allows. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from tests.crash_points.telling import Shown, Told

#: The supersteps of a graph that one accident may repeat; with `exit` a run restarts from its beginning.
STEPS = {"sync": 1, "async": 2}
#: Accidents after which the run does not resume by itself.
ENDS = ("cancel", "timeout")


def wrong(
    expected: Told,
    executed: dict[str, int],
    told: Told,
    now: dict[str, int],
    *,
    kind: str,
    steps: int | None,
    tasks: int = 1,
) -> str:
    """Return the violation, or "".

    Args:
        kind: The accident's; "" for none.
        steps: The most supersteps that may be repeated; None for no limit.
        tasks: The most tasks of a node in one superstep.
    """
    if kind in ENDS:
        found = _after_stop(expected, told)
    else:
        wanted, got = [each.facts for each in expected.shown], [each.facts for each in told.shown]
        found = "" if wanted == got else _first_difference(wanted, got)
    if found:
        return found
    more = Counter({name: count - executed.get(name, 0) for name, count in now.items()})
    allowed = 1 if kind else 0
    if kind in ENDS:
        # Each further run repeats the nodes without answers.
        allowed, steps = max(1, 1 + len(told.shown) - len(expected.shown)), None
    return _repeated(+more, allowed * tasks, steps)


def _repeated(more: Counter[str], allowed: int, steps: int | None) -> str:
    # A fan's work is two tasks.
    if many := {name: count for name, count in more.items() if count > allowed * (1 + name.endswith("w"))}:
        return f"executed too often: {many}"
    repeated: defaultdict[str, set[str]] = defaultdict(set)
    for name in more:
        # A fan's work is the superstep after that of its layer.
        place = name.removesuffix("w")
        repeated[place[:-2]].add(place[-2] + name[len(place) :])
    if steps is not None and any(len(each) > steps for each in repeated.values()):
        return f"more than the unfinished steps was executed again: {sorted(more)}"
    return ""


def _first_difference(wanted: list[object], got: list[object]) -> str:
    for number, (one, other) in enumerate(zip(wanted, got, strict=False)):
        if one != other:
            return f"run {number}: {other} instead of {one}"
    return f"{len(got)} runs instead of {len(wanted)}: {got[len(wanted) :] or wanted[len(got) :]}"


def _plain(shown: Shown) -> str:
    """The values without the marks of an update, whose landing time may vary."""
    return re.sub(r"in \d+", "in", repr(shown.values).replace("!", ""))


def _after_stop(expected: Told, told: Told) -> str:
    """After a cancel or timeout: a committed step's state, and the same end of the thread."""
    end, wanted = told.shown[-1], expected.shown[-1]
    if end.thread != wanted.thread or _plain(end) != _plain(wanted):
        return f"ended with {end.facts} instead of {wanted.facts}"
    # A function's values are those of its last input.
    text, visible = repr([each.values for each in told.shown]), repr([each.values for each in expected.shown])
    for each in told.shown:
        # A thread without a started run has no checkpoint's values.
        if each.committed not in (None, "{}", *expected.committed):
            return f"was left with what is no state of a committed step: {each.committed}"
    for question in told.again:
        # The work of a subgraph before its jump to the parent is not visible.
        if f"to {question}]" in visible and f"to {question}!]" not in text:
            return f"the answer that was given again to {question} was not used: {end.values}"
    return ""
