"""The tokens that a run's models have used, by model, and as the notes in its log tell them.

An attempt that is drained or lost writes no result, so what it has used is only there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from numbers import Real
from typing import Any
from uuid import UUID

from runs.encoding import decode
from runs.events import table
from runs.protocols.agent.items import MODEL
from threads.db.errors import OF_DRIVERS

logger = logging.getLogger(__name__)

#: The most models that are told apart, and the most characters of a name.
MOST_MODELS, LONGEST_NAME = 50, 100
#: The most characters of a log that are read for it.
MOST_READ = 64 * 1024 * 1024
#: Where the tokens of further models are counted.
OTHERS = "others"
#: The most tokens that are counted: what PostgreSQL's `integer` holds.
MOST_TOKENS = 2**31 - 1
#: The counts in what a model says of a call.
COUNTS = ("input_tokens", "output_tokens")

#: Input tokens and output tokens by the model's name.
ByModel = dict[str, list[int]]


def named(name: object) -> str:
    return str(name or "model")[:LONGEST_NAME]


def tokens_of(said: Mapping[str, Any]) -> tuple[int, int]:
    """The input and output tokens of one call, as a model says them: any value can be there."""
    received, sent = (_tokens(said.get(name)) for name in COUNTS)
    return received, sent


def _tokens(said: Any) -> int:
    """A count between 0 and `MOST_TOKENS`; 0 for what is no number."""
    if isinstance(said, bool) or not isinstance(said, Real):
        return 0
    number: Any = said
    # In this order, a NaN becomes 0.
    return int(min(MOST_TOKENS, max(0, number)))


def count(used: ByModel, model: str, received: int, sent: int) -> None:
    """Add tokens."""
    if model not in used and len(used) >= MOST_MODELS:
        model = OTHERS
    counted = used.setdefault(model, [0, 0])
    for place, tokens in enumerate((received, sent)):
        counted[place] = min(MOST_TOKENS, counted[place] + tokens)


def logged(run_id: UUID, *, before: int | None = None) -> ByModel:
    """What the calls in a run's log have used. Those that had not ended, or were not flushed when their
    process died, are unknown, and so are those beyond `MOST_READ`.

    Args:
        before: Only attempts of earlier epochs.
    """
    models: dict[str, str] = {}
    used: ByModel = {}
    size = 0
    for _, data in table.packs(run_id, containing=MODEL, before=before):
        if (size := size + len(data)) > MOST_READ:
            break
        for mode, _, _, note in decode(data):
            if mode == MODEL:
                _take(note, models, used)
    return used


def _take(note: dict[str, Any], models: dict[str, str], used: ByModel) -> None:
    if note["event"] == "start":
        models[note["id"]] = named(note.get("name"))
    elif (model := models.pop(note["id"], None)) is not None and (said := note.get("usage")):
        count(used, model, *tokens_of(said))


def columns(used: ByModel) -> dict[str, Any]:
    """The columns of a run's row that say it."""
    received, sent = (min(MOST_TOKENS, sum(each[place] for each in used.values())) for place in (0, 1))
    return {"input_tokens": received, "output_tokens": sent, "usage": used or None}


def logged_columns(run_id: UUID) -> dict[str, Any]:
    """The columns that say what a run's log says; none if that cannot be read.

    A run ends without its tokens rather than not at all. Raises errors of the database.
    """
    try:
        return columns(logged(run_id))
    except OF_DRIVERS:
        raise
    except Exception:
        logger.exception("Run %s: its tokens cannot be counted.", run_id)
        return {}
