"""Turns "module:object" into a compiled graph or a factory of one: import, recognise, call."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import re
import sys
import sysconfig
import traceback
import zlib
from collections.abc import Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, replace
from operator import attrgetter
from os.path import relpath
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from runs.graphs.contexts import typed

Graph = Pregel[Any, Any, Any, Any]


def import_object(path: str, *, folder: Path | None = None) -> Any:
    """The object named by `"pkg.module:object"`, or by `"file.py:object"` relative to `folder`."""
    module = import_home(path, folder=folder)
    where, _, name = path.rpartition(":")
    try:
        return attrgetter(name)(module)
    except AttributeError:
        graphs = sorted(key for key, value in vars(module).items() if isinstance(value, (Pregel, StateGraph)))
        known = f"; its graphs are {', '.join(graphs)}" if graphs else ""
        raise AttributeError(f"module {where!r} has no {name!r}{known}") from None


def import_home(path: str, *, folder: Path | None = None) -> ModuleType:
    """The module of the object that a path names."""
    where, separator, name = path.rpartition(":")
    if not (separator and where and name):
        raise ValueError(f"{path!r} is not of the form 'package.module:object'")
    is_file = where.endswith(".py") or "/" in where or "\\" in where
    if is_file and folder is None:
        raise ValueError(f"{path!r} is a file, which only a langgraph.json can name; name a module instead")
    return _import_file(folder / where, folder) if is_file and folder else importlib.import_module(where)


def _import_file(file: Path, folder: Path) -> ModuleType:
    file = file.resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    if file.suffix != ".py":
        raise ValueError(f"{file} is not a Python file")
    name = _importable_name(file, folder)
    if name is not None:
        return importlib.import_module(name)
    # Checkpoints store a class's module name too, so it must be the same in each process and folder.
    where = Path(relpath(file, folder)).as_posix()
    name = f"langgraph_json_{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}_{zlib.crc32(where.encode()):08x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _importable_name(file: Path, folder: Path) -> str | None:
    """The name by which a sibling module would import `file`, because a module must not be loaded
    under two names.
    """
    if not file.is_relative_to(folder):
        return None
    parts = file.relative_to(folder).with_suffix("").parts
    if not all(part.isidentifier() for part in parts):
        return None
    name = ".".join(parts)
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # A parent of that name is another module, or no package.
        return None
    return name if spec is not None and spec.origin and Path(spec.origin).resolve() == file else None


def compiled(value: object) -> Graph:
    """`value` as a compiled graph. Raises TypeError if it is not a graph and cannot be compiled."""
    graph = value.compile() if isinstance(value, StateGraph) else value
    if not isinstance(graph, Pregel):
        raise TypeError(f"expected a compiled graph or a StateGraph, not {type(value).__qualname__}")
    return graph


def without_checkpointer(graph: Graph) -> Graph:
    """`graph` itself, or a copy without the checkpointer that it was compiled with.

    `Pregel.copy()` would lose how the graph coerces its output to its schema (measured with
    langgraph 1.2.22). The saver in the config overrides the graph's own saver, but not
    `checkpointer=False`.
    """
    if graph.checkpointer is None:
        return graph
    stripped = copy.copy(graph)
    stripped.checkpointer = None
    return stripped


@dataclass(frozen=True)
class Factory:
    """A callable that makes a graph, and the arguments that it takes."""

    call: Callable[..., Any]
    #: For each argument: its keyword, None if positional; and "config" or "runtime".
    wants: tuple[tuple[str | None, str], ...]
    #: The class of the context that it declares: `Ctx` of `ServerRuntime[Ctx]`.
    context: Any = None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Factory:
        context = _context_of(function)
        if inspect.isasyncgenfunction(function):
            function = asynccontextmanager(function)
        elif inspect.isgeneratorfunction(function):
            function = contextmanager(function)
        return cls(function, _wants(function), context)

    async def enter(self, stack: AsyncExitStack, config: RunnableConfig, runtime: Any) -> Graph:
        """Call the factory; resources that it opened are closed with `stack`."""
        if self.context is not None and (executing := getattr(runtime, "execution_runtime", None)):
            runtime = replace(executing, context=typed(executing.context, self.context))
        given = {"config": config, "runtime": runtime}
        args = [given[what] for name, what in self.wants if name is None]
        value = self.call(*args, **{name: given[what] for name, what in self.wants if name is not None})
        if inspect.isawaitable(value):
            value = await value
        if isinstance(value, AbstractAsyncContextManager):
            value = await stack.enter_async_context(value)
        elif isinstance(value, AbstractContextManager):
            value = stack.enter_context(value)
        return compiled(value)


def _context_of(function: Callable[..., Any]) -> Any:
    """The class in the brackets of a factory's annotation; None without one."""
    try:
        hints = get_type_hints(function)
    except Exception:  # An annotation that only type checkers can read.
        return None
    of_runtimes = [hint for hint in hints.values() if "Runtime" in str(get_origin(hint))]
    return next((args[0] for hint in of_runtimes if (args := get_args(hint))), None)


def _wants(function: Callable[..., Any]) -> tuple[tuple[str | None, str], ...]:
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    known = {parameter.name: what for parameter in parameters if (what := _meaning(parameter))}
    left = [what for what in ("config", "runtime") if what not in known.values()]
    for parameter in parameters:
        if parameter.name not in known and parameter.default is parameter.empty:
            if not left:
                signature = inspect.signature(function)
                raise TypeError(f"a graph factory takes (), (config) or (config, runtime), not {signature}")
            known[parameter.name] = left.pop(0)
    return tuple(
        (None if parameter.kind is parameter.POSITIONAL_ONLY else parameter.name, known[parameter.name])
        for parameter in parameters
        if parameter.name in known
    )


def _meaning(parameter: inspect.Parameter) -> str | None:
    # The text of an annotation is the same for a string, a class, an alias and part of a union.
    annotation = "" if parameter.annotation is parameter.empty else str(parameter.annotation)
    if "RunnableConfig" in annotation:
        return "config"
    if "Runtime" in annotation:
        return "runtime"
    return parameter.name if parameter.name in ("config", "runtime") else None


def source_of(value: object) -> Graph | Factory:
    """A graph that is the same for every run, or a factory."""
    if isinstance(value, (Pregel, StateGraph)):
        return compiled(value)
    if callable(value):
        return Factory.of(value)
    kind = type(value).__qualname__
    raise TypeError(f"expected a compiled graph, a StateGraph or a factory of one, not {kind}")


def describe(error: BaseException) -> str:
    """The exception's type and message, and the innermost line of user code that led to it."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    paths = sysconfig.get_paths()
    libraries, stdlib = (
        (paths["purelib"], paths["platlib"]),
        (paths["stdlib"], "<", str(Path(__file__).parent)),
    )
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(libraries) or not frame.filename.startswith(stdlib)
    ]
    own = [frame for frame in frames if not frame.filename.startswith(libraries)]
    where = (own or frames)[-1:]
    return f"{text} ({where[0].filename}:{where[0].lineno})" if where else text
