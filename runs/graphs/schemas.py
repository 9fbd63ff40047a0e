"""The classes that a checkpoint may restore: those in the schemas of the graphs (and in their code, `homes`).

LangGraph's serializer writes a class's module and name with its data. On reading, it imports and
calls whatever is named there, unless it has an allow-list: write access to checkpoints would allow
the execution of code (CVE-2026-28277).
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from typing_extensions import is_typeddict

from runs.graphs.loading import Graph

#: A class as the serializer identifies it: its module and its name.
TypeKey = tuple[str, str]


def graph_types(graph: Graph) -> frozenset[TypeKey]:
    """The classes that the state of `graph` and of its subgraphs can hold, by their schemas."""
    types: frozenset[TypeKey] = frozenset()
    graphs: list[Graph] = [graph]
    for known in graphs:
        for node in known.nodes.values():
            graphs += [sub for sub in node.subgraphs if isinstance(sub, Pregel) and sub not in graphs]
        if isinstance(known, CompiledStateGraph):
            # The schemas of the state, the input, the output, and the inputs of single nodes, which arrive by
            # `Send`.
            stated: Iterable[Any] = known.builder.schemas
            types = types.union(*map(_schema_types, stated))
        else:
            channels = known.channels.values()
            hints = [
                getattr(channel, name, None) for channel in channels for name in ("ValueType", "UpdateType")
            ]
            types |= _keys(_stored_classes(hints))
    return types


@lru_cache(
    maxsize=1024
)  # A factory's graphs share their schemas; reading the schema of messages takes milliseconds.
def _schema_types(schema: Any) -> frozenset[TypeKey]:
    return _keys(_stored_classes([schema]))


def module_types(entry: str) -> frozenset[TypeKey]:
    """The classes of the package or module that `entry` names, or the one class of `"package.module:Class"`."""
    name, _, class_name = entry.partition(":")
    module = importlib.import_module(name)
    if class_name:
        cls = getattr(module, class_name)
        if not inspect.isclass(cls):
            raise TypeError(f"{entry!r} is not a class")
        return _keys({cls, *_stored_classes([cls])})
    inside = [cls for cls in vars(module).values() if inspect.isclass(cls) and _is_within(cls, name)]
    return _keys(_stored_classes(inside))


def _keys(classes: Iterable[type]) -> frozenset[TypeKey]:
    return frozenset((cls.__module__, cls.__name__) for cls in classes)


def _is_within(cls: type, package: str) -> bool:
    return cls.__module__ == package or cls.__module__.startswith(package + ".")


def _stored_classes(hints: Iterable[Any]) -> set[type]:
    """The classes in `hints`, in their fields, and so on, whose instances the serializer stores by name."""
    found: set[type] = set()
    seen: dict[int, Any] = {}  # By identity: not every hint has a hash, and an alias may contain itself.
    todo = list(hints)
    while todo:
        hint = todo.pop()
        if id(hint) in seen:
            continue
        seen[id(hint)] = hint
        todo += _parts(hint)
        cls = get_origin(hint) or hint
        if not inspect.isclass(cls):
            continue
        if _is_stored_by_name(cls):
            found.add(cls)
            # A field of a class may hold subclasses of the same package. Those of other packages must be
            # named, because a library's base class would otherwise allow whatever happens to be imported.
            package = cls.__module__.partition(".")[0]
            todo += [sub for sub in type.__subclasses__(cls) if _is_within(sub, package)]
        if cls in found or is_typeddict(cls):
            todo += _field_hints(cls)
    return found


def _parts(hint: Any) -> tuple[Any, ...]:
    origin = get_origin(hint)
    if origin is Literal:
        return ()
    if origin is Annotated:
        return get_args(hint)[:1]
    # A NewType, a type alias and a type variable each stand for another type.
    aliased = (getattr(hint, name, None) for name in ("__supertype__", "__value__", "__bound__"))
    return (*get_args(hint), *getattr(hint, "__constraints__", ()), *aliased)


def _is_stored_by_name(cls: type) -> bool:
    """Whether `JsonPlusSerializer` writes the class's name (langgraph-checkpoint 4.3.2, `_msgpack_default`)."""
    if issubclass(cls, Enum) or dataclasses.is_dataclass(cls):
        return True
    methods = ("model_dump", "get_secret_value", "dict", "_asdict")
    return any(callable(getattr(cls, method, None)) for method in methods)


def _field_hints(cls: type) -> list[Any]:
    try:
        return list(get_type_hints(cls, include_extras=True).values())
    except Exception:  # A name of a type that only type checkers import: take what is known without it.
        fields = getattr(cls, "model_fields", {}).values()
        return [field.annotation for field in fields] or list(getattr(cls, "__annotations__", {}).values())
