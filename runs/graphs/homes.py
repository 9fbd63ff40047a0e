"""The classes that the code of a graph defines, which its checkpoints may restore.

A state may hold objects whose classes no schema names: in a `dict[str, Any]`, in a tool message's
artifact, as the structured response of an agent. They come from the module that the graph was
loaded from, or from modules of the same project that it imports. Libraries are left out: their
classes must be named (`runs.graphs.restorable`).
"""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from langchain_core.runnables import Runnable

from runs.graphs import schemas
from runs.graphs.schemas import TypeKey

#: The most modules of a project that are looked at.
MOST = 500
#: Where functions are in tools and other runnables.
FUNCTIONS = ("func", "coroutine", "afunc")


def home_types(module: str) -> frozenset[TypeKey]:
    """The classes that checkpoints store by name, of a loaded module and of what it imports of its project."""
    names = [module]
    types: frozenset[TypeKey] = frozenset()
    for name in names:
        if (found := sys.modules.get(name)) is None:
            continue
        types |= schemas.module_types(name)
        for each in _imported(found):
            if each and each not in names and len(names) < MOST and _is_of_project(each, module):
                names.append(each)
    return types


def _imported(module: ModuleType) -> Iterator[str | None]:
    """The modules that the values of a module come from; None for what is generated."""
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            yield value.__name__
        elif inspect.isclass(value) or inspect.isfunction(value):
            yield value.__module__
        elif isinstance(value, Runnable):
            functions: Iterator[Any] = (getattr(value, name, None) for name in FUNCTIONS)
            yield from (each.__module__ for each in functions if inspect.isfunction(each))


def _is_of_project(name: str, home: str) -> bool:
    if name.partition(".")[0] == home.partition(".")[0]:
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and not any(Path(file).is_relative_to(each) for each in _libraries())


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    """The folders of installed packages, of Python itself, and of this server."""
    paths = sysconfig.get_paths()
    site = Path(__file__).parents[2]
    ours = [str(site / name) for name in ("runs", "threads", "deerflow_site")]
    return (paths["purelib"], paths["platlib"], paths["stdlib"], paths["platstdlib"], *ours)
