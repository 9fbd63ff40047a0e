"""The runs that match the conditions of a search.

Ids, users, threads, workers and statuses are looked up by indexes. What no index has (texts, nodes,
metadata, assistants) is looked for among the newest runs only, so that a search is bounded in a
table of any size; `Found.bound` says among how many. An index over inputs may be
built (`runs.lifecycle.operators.input_index`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet, TextField
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast

from runs.admin.run_search.statuses import condition
from runs.admin.run_search.terms import Term, UnknownTerm
from runs.lifecycle.operators import input_index
from runs.models import Run
from threads.admin.base import BY_USERNAME, as_uuid

#: Among how many of the newest runs texts are looked for: whole requests are long, errors and metadata are short.
LONG, SHORT = 10_000, 100_000
#: Digits that a beginning or an end of an id needs.
FEWEST_DIGITS = 4
#: The qualifiers that look at what people wrote.
OF_PAYLOADS = frozenset({"input", "meta"})
UNREADABLE = "Searching inputs and metadata needs the permission runs.view_run_payload."


@dataclass(frozen=True, slots=True)
class Found:
    rows: QuerySet[Run]
    #: The number of newest runs that were searched; None for all.
    bound: int | None


def matching(rows: QuerySet[Run], terms: Collection[Term], *, reads: bool) -> Found:
    """The runs that match all terms. Raises UnknownTerm.

    Args:
        reads: Whether the person may read inputs and metadata.
    """
    bound: int | None = None
    if terms and all(not term.name and as_uuid(term.value) for term in terms):
        ids = [as_uuid(term.value) for term in terms]
        return Found(rows.filter(Q(id__in=ids) | Q(thread__in=ids)), None)
    for term in terms:
        if term.name in OF_PAYLOADS and not reads:
            raise UnknownTerm(UNREADABLE)
        needed, narrow = BY_NAME[term.name]
        if term.name == "input" and (having := input_index.found(term.value)) is not None:
            rows = rows.filter(id__in=having)
            continue
        bound = min((each for each in (bound, needed) if each is not None), default=None)
        rows = narrow(rows, term)
    if bound is not None and (oldest := oldest_of_newest(bound)) is not None:
        rows = rows.filter(id__gte=oldest)
    return Found(rows, bound)


def oldest_of_newest(count: int) -> UUID | None:
    """The oldest id among the newest ones; None if there are not so many."""
    found: UUID | None = Run.objects.order_by("-id").values_list("id", flat=True)[count - 1 : count].first()
    return found


def _plain(rows: QuerySet[Run], term: Term) -> QuerySet[Run]:
    """A word without a qualifier: an id of a run or its thread, a part of one, or a user's name."""
    wanted = Q(**{BY_USERNAME: term.value})
    if whole := as_uuid(term.value):
        return rows.filter(Q(id=whole) | Q(thread=whole))
    if len(term.value) >= 2 * FEWEST_DIGITS and _digits(term.value):
        wanted |= _part_of("id", term.value)
    return rows.filter(wanted)


def _digits(text: str) -> str:
    digits = text.replace("-", "").lower()
    return digits if set(digits) <= set("0123456789abcdef") else ""


def _part_of(column: str, text: str) -> Q:
    """An id, or the beginning or the end of one."""
    if whole := as_uuid(text):
        return Q(**{column: whole})
    digits = _digits(text)
    if len(digits) < FEWEST_DIGITS or len(digits) > 32:
        raise UnknownTerm(
            f"{text!r} is no id: give at least {FEWEST_DIGITS} of its digits, from its beginning or its end."
        )
    begins = Q(
        **{f"{column}__gte": UUID(digits.ljust(32, "0")), f"{column}__lte": UUID(digits.ljust(32, "f"))}
    )
    if column != "id":
        newest = Run.objects.order_by("-id").values_list("id", column)[:LONG]
        return begins | Q(id__in=[run for run, other in newest if other and other.hex.endswith(digits)])
    newest_ids = Run.objects.order_by("-id").values_list("id", flat=True)[:LONG]
    return begins | Q(id__in=[each for each in newest_ids if each.hex.endswith(digits)])


def _by_id(column: str) -> Callable[[QuerySet[Run], Term], QuerySet[Run]]:
    return lambda rows, term: rows.filter(_part_of(column, term.value))


def _by_user(rows: QuerySet[Run], term: Term) -> QuerySet[Run]:
    name = get_user_model().USERNAME_FIELD
    return rows.filter(**{f"user__{name}__in": term.values})


def _by_status(rows: QuerySet[Run], term: Term) -> QuerySet[Run]:
    return rows.filter(condition(term.values))


def _by_text(column: str) -> Callable[[QuerySet[Run], Term], QuerySet[Run]]:
    def narrow(rows: QuerySet[Run], term: Term) -> QuerySet[Run]:
        return rows.alias(searched=Cast(column, TextField())).filter(searched__icontains=term.value)

    return narrow


def _by_node(rows: QuerySet[Run], term: Term) -> QuerySet[Run]:
    quoted = f'"node":"{term.value}"'
    return rows.alias(failed_in=Cast("failure", TextField())).filter(failed_in__contains=quoted)


def _by_metadata(rows: QuerySet[Run], term: Term) -> QuerySet[Run]:
    wanted: Any = Q(under_key=term.value)
    if term.value.isdecimal():
        wanted |= Q(under_key=int(term.value))
    if term.value in ("true", "false"):
        wanted |= Q(under_key=term.value == "true")
    # Not `metadata__KEY`, in which a key such as "a__regex" would be a lookup.
    return rows.alias(under_key=KeyTransform(term.key, "metadata")).filter(wanted)


def _equal(lookup: str) -> Callable[[QuerySet[Run], Term], QuerySet[Run]]:
    return lambda rows, term: rows.filter(**{f"{lookup}__in": term.values})


#: By qualifier: among how many of the newest runs it looks, and how.
BY_NAME: dict[str, tuple[int | None, Callable[[QuerySet[Run], Term], QuerySet[Run]]]] = {
    "": (None, _plain),
    "id": (None, _by_id("id")),
    "thread": (None, _by_id("thread_id")),
    "worker": (None, _by_id("worker_id")),
    "assistant": (None, _by_id("assistant_id")),
    "user": (None, _by_user),
    "status": (None, _by_status),
    "graph": (None, _equal("assistant__graph_id")),
    "queue": (SHORT, _equal("queue")),
    "meta": (SHORT, _by_metadata),
    "node": (SHORT, _by_node),
    "error": (SHORT, _by_text("error")),
    "input": (LONG, _by_text("kwargs")),
}
