"""What the steps of two runs gave, and where that differs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runs.encoding import decode
from runs.protocols.agent.items import PACK
from runs.protocols.differences import differences
from runs.protocols.spans import Entry
from threads.redaction import redacted

Json = dict[str, Any]
#: The most steps whose outputs are compared, and how deep messages are looked for in an output.
MOST, DEEPEST = 200, 3


def outputs(entries: Iterable[Entry]) -> dict[str, Json]:
    """The last output of each node and tool of a run by its name, by key, without secrets."""
    found: dict[str, Json] = {}
    tools: dict[Any, str] = {}
    for entry in entries:
        for mode, data in _items(entry):
            if mode == "tasks" and "result" in data and not data.get("error"):
                _keep(found, str(data.get("name")), data["result"])
            elif data.get("event") == "tool-started":
                tools[data.get("tool_call_id")] = str(data.get("tool_name"))
            elif data.get("event") == "tool-finished":
                name = tools.pop(data.get("tool_call_id"), "tool")
                _keep(found, name, {"output": data.get("output")})
    return found


def differing(one: Mapping[str, Json], other: Mapping[str, Json]) -> list[Json]:
    """The steps of which both runs have an output, where these differ: {"step", "difference"} each."""
    found = [
        {"step": name, "difference": changes}
        for name, given in one.items()
        if name in other and (changes := differences(given, other[name]))
    ]
    return found[:MOST]


def _items(entry: Entry) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if entry.name == PACK:
        rows = [(mode, data) for mode, _, _, data in decode(entry.data)]
    else:
        mode = entry.name.partition("|")[0]
        rows = [(mode, decode(entry.data))] if mode in ("tasks", "tools") else []
    for mode, data in rows:
        if mode in ("tasks", "tools") and isinstance(data, Mapping):
            yield mode, data


def _keep(found: dict[str, Json], name: str, output: Any) -> None:
    if name in found or len(found) < MOST:
        keyed = output if isinstance(output, Mapping) else {"output": output}
        found[name] = {key: _said(value, DEEPEST) for key, value in redacted(keyed).items()}


def _said(value: Any, deep: int, place: int = 0) -> Any:
    """A value whose messages are reduced to what they say: their ids differ between any two runs."""
    if not deep:
        return value
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str) and "content" in value:
            calls = [each for each in value.get("tool_calls") or () if isinstance(each, Mapping)]
            return {
                "id": str(place), "type": value["type"], "content": value["content"],
                "tool_calls": [{"name": each.get("name"), "args": each.get("args")} for each in calls],
            }  # fmt: skip
        return {key: _said(each, deep - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_said(each, deep - 1, number) for number, each in enumerate(value)]
    return value
