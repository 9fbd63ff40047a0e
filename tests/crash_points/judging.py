"""Whether what was played is one of the things that plain LangGraph allows. Pure."""

from __future__ import annotations

from collections import Counter

from tests.crash_points.specs import ROOT
from tests.crash_points.telling import Told

#: Root layers whose nodes one accident may repeat.
LAYERS = {"sync": 1, "async": 2}


def wrong(
    expected: Told,
    executed: dict[str, int],
    told: Told,
    now: dict[str, int],
    *,
    kind: str,
    durability: str,
    functional: bool,
) -> str:
    """Return what is wrong, or "".

    Args:
        kind: The accident's; "" for none.
    """
    if kind == "cancel":
        found = _after_cancel(expected, told)
    else:
        wanted, got = [each.facts for each in expected.shown], [each.facts for each in told.shown]
        found = "" if wanted == got else _first_difference(wanted, got)
    if found or not executed:
        return found
    extra = Counter(now)
    extra.subtract(executed)
    repeated = {name: count for name, count in extra.items() if count > 0}
    # After a drain too: a task of the step that asked is executed again, and `exit` begins from the start. A fan's work
    # is two tasks.
    allowed = 1 if kind else 0
    tasks = {name: 2 if name.endswith("w") else 1 for name in repeated}
    if many := {name: count for name, count in repeated.items() if count > allowed * tasks[name]}:
        return f"executed too often: {many}"
    layers = {name[len(ROOT)] for name in repeated}
    # All tasks of a function are of one step.
    if kind != "cancel" and not functional and len(layers) > LAYERS.get(durability, 10):
        return f"more than the unfinished steps was executed again: {sorted(repeated)}"
    return ""


def _first_difference(wanted: list[object], got: list[object]) -> str:
    for number, (one, other) in enumerate(zip(wanted, got, strict=False)):
        if one != other:
            return f"run {number}: {other} instead of {one}"
    return f"{len(got)} runs instead of {len(wanted)}: {got[len(wanted) :] or wanted[len(got) :]}"


def _after_cancel(expected: Told, told: Told) -> str:
    """After a cancel the state is that of a committed step, and the thread comes to the same end."""
    end, wanted = told.shown[-1], expected.shown[-1]
    if end.thread != wanted.thread or repr(end.values).replace("!", "") != repr(wanted.values):
        return f"ended with {end.facts} instead of {wanted.facts}"
    text = repr(end.values)
    for each in told.shown:
        # A thread that had not begun has the values of no checkpoint.
        if each.committed not in (None, "{}", *expected.committed):
            return f"was left with what is no state of a committed step: {each.committed}"
    for question in told.again:
        if f"to {question}!" not in text:
            return f"the answer that was given again to {question} was not used: {text}"
    return ""
