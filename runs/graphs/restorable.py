"""The classes that checkpoints may restore in addition to those in the graphs' schemas and code
(`runs.graphs.homes`), and the log of refused ones.

They are named by `RUNS["CHECKPOINT_MODULES"]`, and by `checkpointer` of a langgraph.json, as on the reference server:

    {"checkpointer": {"serde": {"allowed_msgpack_modules": [["my_agent.state", "Plan"], "my_agent.tools"]}}}
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener

from runs.conf import settings
from runs.graphs import schemas
from runs.graphs.loading import describe
from runs.graphs.schemas import TypeKey

logger = logging.getLogger(__name__)

SETTING = "RUNS['CHECKPOINT_MODULES']"
FIELD = "checkpointer.serde.allowed_msgpack_modules"
#: Largest number of classes that the log names, because a checkpoint may name any number.
MOST = 1000
_told: set[TypeKey] = set()


def named_types() -> frozenset[TypeKey]:
    """The classes that the site names. Raises ImproperlyConfigured, which says what is wrong."""
    types: frozenset[TypeKey] = frozenset()
    for where, entry in (*_of_setting(), *_of_json()):
        try:
            types |= schemas.module_types(entry)
        except Exception as error:
            raise ImproperlyConfigured(f"{where} has {entry!r}: {describe(error)}.") from error
    return types


def _of_setting() -> Iterator[tuple[str, str]]:
    yield from ((SETTING, entry) for entry in settings.CHECKPOINT_MODULES)


def _of_json() -> Iterator[tuple[str, str]]:
    if not settings.LANGGRAPH_JSON:
        return
    path = Path(str(settings.LANGGRAPH_JSON)).resolve()
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8")).get("checkpointer")
    except (OSError, ValueError, AttributeError):
        return  # The check of the graphs reports it.
    for part in ("serde", "allowed_msgpack_modules"):
        found = found.get(part) if isinstance(found, dict) else None
    where = f"{FIELD} of {path}"
    if found is not None and not isinstance(found, list):
        # `true` is also refused: it would let anyone with write access to the database execute code.
        raise ImproperlyConfigured(f"{where} is {found!r}: it must be a list.")
    for entry in found or ():
        yield where, _as_text(entry, where)


def _as_text(entry: object, where: str) -> str:
    """`["package", "module", "Class"]` as `"package.module:Class"`; a text is returned as it is."""
    if isinstance(entry, str):
        return entry
    if isinstance(entry, list) and len(entry) > 1 and all(isinstance(part, str) for part in entry):
        return f"{'.'.join(entry[:-1])}:{entry[-1]}"
    raise ImproperlyConfigured(f'{where} has {entry!r}: write ["package.module", "Class"].')


def _tell(event: SerdeEvent) -> None:
    """Log once for each class that was not restored how to allow it."""
    key = (event["module"], event["name"])
    if event["kind"] != "msgpack_blocked" or key in _told or len(_told) >= MOST:
        return
    _told.add(key)
    name = ":".join(key)
    logger.warning(
        "A checkpoint has an object of the class %s, which no graph's schema names or code defines: it is restored as the plain values "
        'that it consists of. To have the object, name the class in the state\'s schema, in RUNS["CHECKPOINT_MODULES"] '
        "(the environment's CHECKPOINT_MODULES=%s), or in %s of the langgraph.json.",
        name.replace(":", "."), name, FIELD,
    )  # fmt: skip


def _is_ours_to_tell(record: logging.LogRecord) -> bool:
    """Whether to keep a log record of LangGraph. Its message about refused classes names a
    parameter that cannot be set here.
    """
    return not str(record.msg).startswith("Blocked deserialization of")


def install() -> None:
    """Log refused classes in this process."""
    register_serde_event_listener(_tell)
    logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_is_ours_to_tell)


install()
