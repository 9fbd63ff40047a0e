"""The callback handlers that the site names in `RUNS["CALLBACKS"]`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler

from runs.conf import settings
from runs.graphs.handlers import NotUsable, named
from runs.models import Run

logger = logging.getLogger(__name__)


def prepare() -> None:
    for path in settings.CALLBACKS:
        try:
            named(path)
        except NotUsable as error:
            logger.error("RUNS['CALLBACKS']: %s", error)


def handlers(run: Run) -> list[Any]:
    """The handlers for an attempt: shared ones, a new one of each class, and those that functions make."""
    found: list[Any] = []
    for path in settings.CALLBACKS:
        try:
            found += _made(named(path), run)
        except Exception as error:
            logger.error("Run %s goes on without the callbacks of %r: %s", run.id, path, error)
    return found


def _made(source: Any, run: Run) -> Iterable[Any]:
    if isinstance(source, BaseCallbackHandler):
        return [source]
    made = source() if isinstance(source, type) else source(run)
    if made is None:
        return []
    several = list(made) if isinstance(made, list | tuple) else [made]
    if not all(isinstance(each, BaseCallbackHandler) for each in several):
        raise NotUsable(f"it made {made!r}, which is no callback handler")
    return several
