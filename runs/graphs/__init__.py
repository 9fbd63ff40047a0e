"""The registry of graphs: their names, and a compiled graph for each use.

Graphs come from `RUNS["GRAPHS"]`, from a `langgraph.json` (`RUNS["LANGGRAPH_JSON"]`), and from
`graphs.py` modules of installed apps that call `register`. They are discovered at the first use of
this module. Each graph is imported at its own first use.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from django.core.checks import CheckMessage, Error
from django.core.signals import setting_changed
from langchain_core.runnables import RunnableConfig

from runs.graphs import sources
from runs.graphs.loading import Factory, Graph, describe
from runs.graphs.registry import GraphLoadError, GraphNotFound, Registry
from runs.graphs.schemas import TypeKey
from runs.graphs.sources import Registration

__all__ = [
    "Graph",
    "GraphLoadError",
    "GraphNotFound",
    "Registration",
    "checkpoint_types",
    "load_all",
    "names",
    "open_graph",
    "problems",
    "register",
    "registration",
    "reset",
]

logger = logging.getLogger(__name__)
T = TypeVar("T")

_registry: Registry | None = None
# Reentrant: a `graphs` module may use the registry while it is being discovered.
_lock = threading.RLock()


def _current() -> Registry:
    global _registry
    registry = _registry
    if registry is None:
        with _lock:
            registry = _registry = _registry or Registry()
    return registry


def reset() -> None:
    """Forget what was found and loaded, so that the next use discovers again; imported modules stay
    imported.
    """
    global _registry
    _registry = None


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    if setting in ("RUNS", "INSTALLED_APPS"):
        reset()


setting_changed.connect(_on_setting_changed, dispatch_uid="runs.graphs")


def register(
    name: str, *, description: str = "", queue: str = "default", priority: int = 0
) -> Callable[[T], T]:
    """Register a graph or, as a decorator, the factory of one: `register("agent")(graph)`.

    Args:
        queue: The queue of its runs; only workers that serve it execute them (`run_worker
            --queues`).
        priority: Its runs are claimed before those of a lower priority.
    """
    module = sys._getframe(1).f_globals["__name__"]

    def keep(value: T) -> T:
        sources.remember(name, value, description=description, module=module, queue=queue, priority=priority)
        reset()
        return value

    return keep


def names() -> list[str]:
    """The registered names, sorted. This imports only the apps' `graphs` modules."""
    return sorted(_current().entries)


def registration(name: str) -> Registration:
    """The registration of a graph, without loading it."""
    return _current().entry(name).registration


def is_factory(name: str) -> bool:
    """Whether a factory builds the graph for each use. Raises GraphNotFound or GraphLoadError."""
    return isinstance(_current().load(name), Factory)


@asynccontextmanager
async def open_graph(name: str, config: RunnableConfig, *, runtime: Any = None) -> AsyncIterator[Graph]:
    """The compiled graph `name`, without a checkpointer of its own.

    A static graph is the same object each time. A factory is called each time on the event loop,
    with `config` and `runtime` if it takes them. A factory that would block should be asynchronous.
    Resources that it opened are closed afterwards.
    """
    registry = _current()
    source = registry.load(name)
    if not isinstance(source, Factory):
        yield source
        return
    failure: BaseException | None = None
    async with AsyncExitStack() as stack:
        try:
            built = await source.enter(stack, config, runtime)
        except (Exception, SystemExit) as error:
            raise GraphLoadError(f"{registry.title(name)} cannot be built: {describe(error)}.") from error
        graph, had_checkpointer = registry.without_checkpointer(name, built)
        if had_checkpointer:
            logger.warning("%s builds graphs with a checkpointer, which is ignored.", registry.title(name))
        try:
            yield graph
        except BaseException as error:
            failure = error
            raise
    # A factory's cleanup must not swallow the exception that ended the run, such as a cancellation.
    if failure is not None:
        raise failure


def load_all() -> dict[str, Exception]:
    """Import every graph, log other problems, and return the failures by name."""
    registry = _current()
    failures = registry.load_all()
    for note in registry.notes():
        if note.is_silenced():
            continue
        logger.log(note.level, "%s (%s)", note.msg, note.id)
    return dict(failures)


def problems() -> list[CheckMessage]:
    """The messages of the system checks about the graphs; imports every graph."""
    registry = _current()
    failures = [
        Error(str(failure), hint=f"Correct it or its entry in {source}.", id="runs.E001")
        for name, failure in registry.load_all().items()
        if (source := registry.entry(name).registration.source)
    ]
    return [*failures, *registry.notes()]


def checkpoint_types(graph: Graph | None = None) -> frozenset[TypeKey]:
    """The classes that checkpoints may restore, for `JsonPlusSerializer(allowed_msgpack_modules=…)`.

    These are the classes in the schemas of the static graphs loaded so far and of `graph` (which a
    factory has just built), those that the code of the loaded graphs defines (`homes`), and those that
    the site names (`restorable`). The serializer itself
    always allows LangChain's messages.
    """
    return _current().types(graph)
