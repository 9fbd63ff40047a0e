"""Descriptions of an assistant's graph: its nodes and edges, its schemas, its subgraphs.

A factory's graph is built with the assistant's configuration, for introspection only
(`introspection_runtime`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, TypedDict, get_type_hints
from weakref import WeakKeyDictionary

from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from pydantic import BaseModel, create_model

from runs import graphs
from runs.exceptions import NotFound
from runs.graphs import Graph
from runs.graphs.runtimes import introspection_runtime
from runs.identity.auth_file.users import AuthUser
from runs.models import Assistant
from threads.db.executors import in_thread

logger = logging.getLogger(__name__)

Schemas = dict[str, Any]


class PlainTypedDict(TypedDict):
    """A class of the standard library's `TypedDict`, for comparison."""


#: Cached schemas by graph, because those of messages take tens of milliseconds. Weak, because a factory's
#: graphs are short-lived.
_known: WeakKeyDictionary[Graph, Schemas] = WeakKeyDictionary()


@asynccontextmanager
async def opened(assistant: Assistant, user: AuthUser | None) -> AsyncIterator[Graph]:
    """The graph of an assistant, built for a user if there is an Auth file.

    Raises GraphNotFound or GraphLoadError.
    """
    config: Any = {"configurable": dict(assistant.config.get("configurable", {}))}
    async with graphs.open_graph(assistant.graph_id, config, runtime=introspection_runtime(user)) as graph:
        yield graph


async def drawn(assistant: Assistant, *, xray: int | bool, user: AuthUser | None) -> dict[str, Any]:
    """The nodes and the edges. `xray` expands subgraphs: all of them, or to a number of levels."""
    async with opened(assistant, user) as graph:
        drawing = await graph.aget_graph(xray=xray)
    shown: dict[str, Any] = drawing.to_json()
    for node in shown["nodes"]:
        # LangGraph's internal classes are not shown to clients.
        if isinstance(data := node.get("data"), dict):
            data.pop("id", None)
    return shown


async def schemas(assistant: Assistant, *, user: AuthUser | None) -> Schemas:
    """The JSON schemas of the graph, each null where there is none."""
    async with opened(assistant, user) as graph:
        return {"graph_id": assistant.graph_id, **await _schemas(graph)}


async def subgraphs(
    assistant: Assistant, *, namespace: str | None, recurse: bool, user: AuthUser | None
) -> dict[str, Schemas]:
    """The schemas of the subgraphs by their namespaces, or those of one namespace.

    Raises NotFound for a namespace that the graph does not have.
    """
    found: dict[str, Schemas] = {}
    async with opened(assistant, user) as graph:
        # A namespace determines the depth itself.
        deep = recurse or namespace is not None
        async for name, subgraph in graph.aget_subgraphs(namespace=namespace, recurse=deep):
            if isinstance(subgraph, Pregel):
                found[name] = await _schemas(subgraph)
    if namespace is not None and not found:
        raise NotFound(f"Graph {assistant.graph_id!r} has no subgraph {namespace!r}")
    return found


async def _schemas(graph: Graph) -> Schemas:
    if graph not in _known:
        _known[graph] = await in_thread(_make_schemas, graph)
    return _known[graph]


def _make_schemas(graph: Graph) -> Schemas:
    context = _schema(graph, lambda: _context_schema(graph))
    return {
        "input_schema": _schema(graph, lambda: _channel_schema(graph, "input")),
        "output_schema": _schema(graph, lambda: _channel_schema(graph, "output")),
        "state_schema": _schema(graph, lambda: _state_schema(graph)),
        # `config.configurable` is an older name of the context.
        "config_schema": context,
        "context_schema": context,
    }


def _schema(graph: Graph, make: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """The result of `make`; None if the graph's types have no JSON schema.

    The graph's other schemas then still work.
    """
    try:
        return make()
    except Exception as error:
        logger.debug("A schema of graph %s cannot be made: %s", graph.get_name(), error)
        return None


def _channel_schema(graph: Graph, side: Literal["input", "output"]) -> dict[str, Any]:
    """The schema of a graph's input or output."""
    if isinstance(graph, CompiledStateGraph):
        stated = graph.builder.input_schema if side == "input" else graph.builder.output_schema
        if _is_plain_typed_dict(stated):
            names = [name for name in graph.builder.schemas[stated] if name in graph.channels]
            return _model(graph, side.title(), names)
    return graph.get_input_jsonschema() if side == "input" else graph.get_output_jsonschema()


def _state_schema(graph: Graph) -> dict[str, Any]:
    if isinstance(graph, CompiledStateGraph):
        names = [name for name in graph.builder.channels if name in graph.channels]
    else:
        names = list(graph.stream_channels_list)
    return _model(graph, "State", names)


def _model(graph: Graph, title: str, names: Iterable[str]) -> dict[str, Any]:
    channels: Mapping[str, Any] = graph.channels
    fields: dict[str, Any] = {name: (channels[name].UpdateType, None) for name in names}
    return as_json(create_model(graph.get_name(title), **fields))


def _context_schema(graph: Graph) -> dict[str, Any] | None:
    context = graph.context_schema
    if context is None or not _is_plain_typed_dict(context):
        return graph.get_context_jsonschema()
    fields: dict[str, Any] = {
        name: (hint, ... if name in context.__required_keys__ else None)
        for name, hint in get_type_hints(context, include_extras=True).items()
    }
    return as_json(create_model(context.__name__, **fields))


def as_json(model: type[BaseModel]) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema()
    return schema


def _is_plain_typed_dict(schema: Any) -> bool:
    """Whether this is a `typing.TypedDict`, which pydantic does not support before Python 3.12."""
    return sys.version_info < (3, 12) and isinstance(schema, type(PlainTypedDict))
