"""The tokens that a run's models have used, by model, and as the notes in its log tell them.

An attempt that is drained or lost writes no result, so what it has used is only there.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runs.encoding import decode
from runs.events import table
from runs.protocols.agent.items import MODEL

#: The most models that are told apart, and the most characters of a name.
MOST_MODELS, LONGEST_NAME = 50, 100
#: The most characters of a log that are read for it.
MOST_READ = 64 * 1024 * 1024
#: Where the tokens of further models are counted.
OTHERS = "others"

#: Input tokens and output tokens by the model's name.
ByModel = dict[str, list[int]]


def named(name: object) -> str:
    return str(name or "model")[:LONGEST_NAME]


def count(used: ByModel, model: str, received: int, sent: int) -> None:
    """Add the tokens of one call."""
    if model not in used and len(used) >= MOST_MODELS:
        model = OTHERS
    counted = used.setdefault(model, [0, 0])
    counted[0] += received
    counted[1] += sent


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
    elif (model := models.pop(note["id"], None)) is not None and (tokens := note.get("usage")):
        count(used, model, tokens["input_tokens"], tokens["output_tokens"])


def columns(used: ByModel) -> dict[str, Any]:
    """The columns of a run's row that say it."""
    received, sent = (sum(counts[place] for counts in used.values()) for place in (0, 1))
    return {"input_tokens": received, "output_tokens": sent, "usage": used or None}
