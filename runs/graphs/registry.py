"""The graphs that were discovered and loaded since the last reset."""

from __future__ import annotations

import threading
import weakref

from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from runs.exceptions import RunsError
from runs.graphs import schemas, sources
from runs.graphs.homes import home_types
from runs.graphs.loading import Factory, Graph, describe, source_of, without_checkpointer
from runs.graphs.restorable import named_types
from runs.graphs.schemas import TypeKey
from runs.graphs.sources import Entry


class GraphNotFound(RunsError, LookupError):
    """No graph is registered under this name."""


class GraphLoadError(RunsError):
    """The graph is registered, but it cannot be imported or built, or is not a graph."""


class Registry:
    """The registered graphs, each loaded at its first use, once; thread-safe."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry]
        self.entries, self._problems = sources.discover()
        self._loaded: dict[str, Graph | Factory] = {}
        self._failures: dict[str, GraphLoadError] = {}
        self._with_checkpointer: set[str] = set()
        self._types: frozenset[TypeKey] | None = None
        #: The classes of the modules that the loaded graphs come from.
        self._homes: frozenset[TypeKey] = frozenset()
        self._typed: weakref.WeakSet[Graph] = weakref.WeakSet()
        # Reentrant: the module of a graph may use the registry while it is being imported.
        self._lock = threading.RLock()

    def entry(self, name: str) -> Entry:
        try:
            return self.entries[name]
        except KeyError:
            expected = sorted(self.entries)
            raise GraphNotFound(f"Graph {name!r} not found. Expected one of: {expected}") from None

    def title(self, name: str) -> str:
        return f"Graph {name!r} ({self.entries[name].registration.source})"

    def load(self, name: str) -> Graph | Factory:
        """The static graph or the factory `name`. A failure is remembered, and the load is not
        retried.
        """
        if (loaded := self._loaded.get(name)) is not None:
            return loaded
        entry = self.entry(name)
        with self._lock:
            if name not in self._loaded and name not in self._failures:
                try:
                    source = source_of(entry.load())
                    if not isinstance(source, Factory):
                        source, _ = self.without_checkpointer(name, source)
                    self._loaded[name] = source
                    self._homes |= home_types(entry.home())
                except (Exception, SystemExit) as error:
                    failure = GraphLoadError(f"{self.title(name)} cannot be loaded: {describe(error)}.")
                    failure.__cause__ = error
                    self._failures[name] = failure
        if (failed := self._failures.get(name)) is not None:
            raise GraphLoadError(str(failed)) from failed.__cause__
        return self._loaded[name]

    def load_all(self) -> dict[str, GraphLoadError]:
        """Load every graph, and return the failures by name."""
        for name in self.entries:
            try:
                self.load(name)
            except GraphLoadError:
                continue
        return dict(self._failures)

    def without_checkpointer(self, name: str, graph: Graph) -> tuple[Graph, bool]:
        """The graph without its own checkpointer, and whether it is the first of this name that had
        one.
        """
        stripped = without_checkpointer(graph)
        first = stripped is not graph and name not in self._with_checkpointer
        if first:
            self._with_checkpointer.add(name)
        return stripped, first

    def notes(self) -> list[CheckMessage]:
        """Problems other than graphs that could not be loaded."""
        found = list(self._problems)
        for name in sorted(self._with_checkpointer):
            message = f"{self.title(name)} was compiled with a checkpointer of its own, which is ignored."
            hint = "Compile it without `checkpointer`: the server gives each run one that survives a crash."
            found.append(Warning(message, hint=hint, id="runs.W001"))
        try:
            named_types()
        except ImproperlyConfigured as error:
            hint = "Name modules, or single classes as 'package.module:Class'."
            found.append(Error(str(error), hint=hint, id="runs.E004"))
        return found

    def types(self, graph: Graph | None) -> frozenset[TypeKey]:
        """The classes that checkpoints may restore, by the site's settings, the loaded graphs, their modules,
        and `graph`.
        """
        with self._lock:
            types = named_types() if self._types is None else self._types
            for known in (*self._loaded.values(), graph):
                if known is not None and not isinstance(known, Factory) and known not in self._typed:
                    types |= schemas.graph_types(known)
                    self._typed.add(known)
            self._types = types | self._homes
            return self._types
