"""A client's command, checked, and what is in it. Pure: no Django, no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from runs.exceptions import InvalidRequest

#: Maximum targets of a request's `goto`. LangGraph prepares each of them anew for each task of the step.
MOST_TARGETS = 100
#: Maximum values of an `update`. Each is a pending write, and a line in the log if the graph has no such channel.
MOST_VALUES = 100
#: LangGraph's own channels, such as `__pregel_tasks` for what is sent. A caller's values are dropped.
INTERNAL = "__pregel_"


def sanitised_command(command: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The command's known and given parts (null counts as absent), checked."""
    if command is None:
        return None
    parts = {name: command[name] for name in ("update", "goto", "resume") if command.get(name) is not None}
    if "update" in parts:
        parts["update"] = _sanitised_update(parts["update"])
    check_targets(parts)
    if not all(map(_is_target, targets(parts))):
        raise InvalidRequest(
            'command.goto must be the name of a node, {"node": …, "input": …}, or a list of these.'
        )
    return parts


def _sanitised_update(update: Any) -> dict[str, Any] | list[Any]:
    if not isinstance(update, dict) and not is_pairs(update):
        raise InvalidRequest("command.update must be an object, or a list of [key, value] pairs.")
    if len(update) > MOST_VALUES:
        raise InvalidRequest(f"command.update has at most {MOST_VALUES} values.")
    if isinstance(update, dict):
        return {name: each for name, each in update.items() if not name.startswith(INTERNAL)}
    return [pair for pair in update if not pair[0].startswith(INTERNAL)]


def check_targets(*commands: Mapping[str, Any]) -> None:
    """Raise InvalidRequest if commands that take effect together have too many targets."""
    if sum(len(targets(command)) for command in commands) > MOST_TARGETS:
        raise InvalidRequest(f"command.goto has at most {MOST_TARGETS} targets.")


def targets(command: Mapping[str, Any]) -> list[Any]:
    """The targets of a command's `goto`."""
    goto = command.get("goto")
    if goto is None:
        return []
    return goto if isinstance(goto, list) else [goto]


def values_in(command: Mapping[str, Any]) -> Iterator[Any]:
    """All state values that a command brings: its update, and the inputs of its targets."""
    yield command.get("update")
    for target in targets(command):
        if isinstance(target, Mapping):
            yield target.get("input")


def messages_in(values: Any) -> int:
    """How many messages are in state values: in an object, or in a list of objects or [key, value] pairs."""
    if isinstance(values, list):
        return sum(messages_in({pair[0]: pair[1]} if _is_pair(pair) else pair) for pair in values)
    messages = values.get("messages") if isinstance(values, Mapping) else None
    return len(messages) if isinstance(messages, list) else 0


def is_pairs(value: object) -> TypeGuard[list[list[Any]]]:
    """Whether a value is a list of [key, value] pairs."""
    return isinstance(value, list) and all(map(_is_pair, value))


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _is_target(value: object) -> bool:
    """Whether the value is a node's name, or an input to send to a node."""
    return isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("node"), str))
