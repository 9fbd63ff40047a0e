"""The right values of threads whose runs and edits each add known values. Pure."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator

from tests.chaos.found import Found
from tests.chaos.ledger import CREATED, REFUSED, Creation, Edit, Lists, Story
from tests.chaos.shapes import STEPS, work_of
from tests.processes.databases import Row

LISTS = ("log", "inner", "told")


def walked(story: Story, keys: Collection[str], thread: Row) -> list[str]:
    """The violations of a thread.

    Args:
        keys: The existing runs, which may include one whose creation was not answered.
    """
    values = thread["values"] or {}
    has = {name: values.get(name) or [] for name in LISTS}
    allowed = list(outcomes(story, keys))
    if (has, thread["status"]) in allowed:
        return []
    return [f"Thread {thread['id']} is {thread['status']} with {has} instead of {allowed}"]


def outcomes(story: Story, keys: Collection[str]) -> Iterator[tuple[Lists, str]]:
    """The thread's allowed lists and status.

    Two of them if it is unknown whether the last edit happened.
    """
    now: Lists = {name: [] for name in LISTS}
    status = "idle"
    for act in story.acts:
        if isinstance(act, Creation) and act.key not in keys:
            continue
        if isinstance(act, Edit) and act.state == REFUSED:
            continue
        if isinstance(act, Edit) and act.state != CREATED:
            yield copy.deepcopy(now), status
        now, status = after(now, act), act.leaves
    yield now, status


def after(now: Lists, act: Creation | Edit) -> Lists:
    base = now if act.base is None else {name: act.base.get(name, []) for name in LISTS}
    return {name: [*base[name], *(act.adds or {}).get(name, [])] for name in LISTS}


def after_deletion(log: list[str], story: Story, rows: dict[str, Row]) -> bool:
    """Whether a log is a prefix of the deleted run's work, then all of the next run's."""
    first, *others = story.creations
    if first.key in rows and rows[first.key]["status"] == "success":
        return log[: len(STEPS)] == work_of(first.order.tag, STEPS)
    later = [piece for each in others if each.key in rows for piece in work_of(each.order.tag, STEPS)]
    left = log[: len(log) - len(later)]
    return [*left, *later] == log and left == work_of(first.order.tag, STEPS)[: len(left)]


def owned(story: Story, found: Found) -> Iterator[str]:
    """Violations: a thread and its runs without their user's name."""
    thread = found.threads.get(story.thread_id)
    if thread is None:
        return
    if thread["metadata"].get("owner") != story.user:
        yield f"Thread {story.thread_id} of {story.user} says {thread['metadata']}"
    for run in found.runs:
        if run["thread_id"] == story.thread_id and run["metadata"].get("owner") != story.user:
            yield f"Run {run['id']} of {story.user} says {run['metadata']}"
