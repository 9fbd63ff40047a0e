"""What a person types into the search box: words, and qualifiers such as `user:ada`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Qualifiers, each with an example; `meta.` is followed by a key.
QUALIFIERS = {
    "id": "id:a4e80da8",
    "user": "user:ada",
    "status": "status:error,timeout",
    "graph": "graph:agent",
    "assistant": "assistant:a4e80da8",
    "thread": "thread:a4e80da8",
    "worker": "worker:a4e80da8",
    "queue": "queue:default",
    "node": "node:price",
    "error": "error:timeout",
    "input": 'input:"ORD-114"',
    "meta": "meta.ticket:T-17",
}
#: Statuses that people ask for beside those of a run's row.
WAITING, CANCELLED, ACTIVE = "waiting", "cancelled", "active"
STATUSES = ("pending", "running", "success", "error", "timeout", CANCELLED, WAITING, ACTIVE)
#: Other words for them.
ALIASES = {"interrupted": CANCELLED, "failed": "error", "done": "success", "queued": "pending"}

TERM = re.compile(
    r'\s*(?:(?P<name>[a-z]+)(?:\.(?P<key>[^\s:"]+))?:)?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]*))(?=\s|$)'
)


class UnknownTerm(ValueError):
    """A search that cannot be understood; the message is for the person who typed it."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition.

    Args:
        name: The qualifier; "" for a word without one.
        key: The metadata's key, of `meta`.
    """

    name: str
    value: str
    key: str = ""

    @property
    def values(self) -> list[str]:
        return [each for each in self.value.split(",") if each]


def parsed(text: str) -> list[Term]:
    """The conditions, all of which must hold. Raises UnknownTerm."""
    return [_known(term) for term in _terms(text.strip())]


def _terms(text: str) -> Iterator[Term]:
    place = 0
    while place < len(text):
        found = TERM.match(text, place)
        if found is None or found.end() == place:
            raise UnknownTerm(
                f"This cannot be read from {text[place : place + 20]!r} on: close each quote, and separate conditions by spaces."
            )
        place = found.end()
        value = found["quoted"] if found["quoted"] is not None else found["plain"]
        yield Term(found["name"] or "", value, found["key"] or "")


def _known(term: Term) -> Term:
    if not term.name:
        return term
    if term.name not in QUALIFIERS:
        raise UnknownTerm(
            f"There is no qualifier {term.name!r}. There are: {', '.join(QUALIFIERS.values())}."
        )
    if not term.value.strip(","):
        raise UnknownTerm(f"{term.name!r} needs a value, such as {QUALIFIERS[term.name]}.")
    if (term.name == "meta") != bool(term.key):
        raise UnknownTerm(f"Write {QUALIFIERS[term.name]}.")
    if term.name == "status":
        values = [ALIASES.get(each.lower(), each.lower()) for each in term.values]
        if unknown := [each for each in values if each not in STATUSES]:
            raise UnknownTerm(f"There is no status {unknown[0]!r}. There are: {', '.join(STATUSES)}.")
        return Term("status", ",".join(values))
    return term
