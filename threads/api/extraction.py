"""Single values out of a thread's JSON, by paths such as `values.messages[-1].content`. Pure: no Django, no database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Where a path may begin.
ROOTS = ("config", "interrupts", "metadata", "values")
MOST = 10
LONGEST = 512

_STEP = re.compile(r"\.([^.\[\]]+)|\[(-?[0-9]{1,9})\]")
Step = str | int


def parse_path(path: str) -> tuple[str, list[Step]]:
    """Return a path's root and its steps: keys of objects, places in lists. Raises ValueError."""
    root = re.split(r"[.\[]", path, maxsplit=1)[0]
    if root not in ROOTS:
        raise ValueError(f"Extract path '{path[:100]}' must start with one of: {', '.join(ROOTS)}")
    steps: list[Step] = []
    at = len(root)
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(path) > LONGEST:
            raise ValueError(f"Extract path '{path[:100]}' must be like values.messages[-1].content")
        steps.append(found[1] if found[1] is not None else int(found[2]))
        at = found.end()
    return root, steps


def extract(document: Any, steps: list[Step]) -> Any:
    """The value at a path, or None."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(document, Mapping) or step not in document:
                return None
        elif not isinstance(document, list) or not -len(document) <= step < len(document):
            return None
        document = document[step]
    return document
