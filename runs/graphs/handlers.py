"""The callback handlers that `RUNS["CALLBACKS"]` names."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler


class NotUsable(Exception):
    """A name of `CALLBACKS` that is no handler, no class of one, and no function."""


@functools.cache
def named(path: str) -> Any:
    """What "package.module.name" or "package.module:name" names. Raises NotUsable."""
    module, separator, name = path.partition(":")
    if not separator:
        module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise NotUsable(f"{path!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, BaseCallbackHandler) and not callable(found):
        raise NotUsable(f"{path!r} is neither a callback handler nor a function that makes one.")
    return found
