"""One step of a run in detail: input, output, difference of the state, messages, log lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runs.encoding import decode
from runs.protocols.agent.items import LOG, OF_VALUES, PACK, TOOL
from runs.protocols.differences import differences
from runs.protocols.spans import Entry
from threads.redaction import redacted

Json = dict[str, Any]
#: The most log lines of a step, and the most characters of a model's text.
MOST_LINES, LONGEST_TEXT = 200, 64 * 1024


class Step:
    """Collects what a log says about one span.

    Args:
        key: The span's id: a letter for its kind, the attempt, and the id of a task or a call.
        namespace: Of the graph in which it is, and the name of its `node`.
        begin: When it began and ended, in milliseconds; log lines of that time belong to it.
    """

    def __init__(
        self, key: str, *, epochs: Iterable[int], namespace: list[str], node: str, begin: int, end: int
    ) -> None:
        self._kind, self._name, self._node = key[:1], key.partition(":")[2], node
        self._epochs = frozenset(epochs)
        self._namespace, self._begin, self._end = namespace, begin, end
        self._values: dict[tuple[str, ...], Any] = {}
        self._before: Any = None
        self._after: Any = None
        self._ended = False
        self.found: Json = {"input": None, "output": None, "error": None}
        self.lines: list[Json] = []
        self._text: list[str] = []

    def feed(self, entry: Entry) -> None:
        for mode, namespace, at, data in _items(entry, self._namespace):
            if mode == LOG and self._begin <= at <= self._end and len(self.lines) < MOST_LINES:
                self.lines.append({"at": at, **data})
            elif mode == "values":
                self._state(tuple(namespace), data)
            elif entry.epoch in self._epochs:
                self._take(mode, namespace, at, data)

    def as_json(self) -> Json:
        found = {**self.found, "log": self.lines}
        if self._kind == "n" and self._after is not None:
            found["difference"] = differences(redacted(self._before), redacted(self._after))
        if self._text:
            found["output"] = "".join(self._text)[:LONGEST_TEXT]
        return {name: redacted(each) for name, each in found.items()}

    def _state(self, namespace: tuple[str, ...], values: Any) -> None:
        self._values[namespace] = values
        if self._ended and self._after is None and list(namespace) == self._namespace:
            self._after = values

    def _take(self, mode: str, namespace: Any, at: int, data: Any) -> None:
        if not isinstance(data, Mapping):
            return
        if mode == "tasks" and self._kind == "n" and data.get("id") == self._name:
            self._task(tuple(namespace), data)
        elif mode == "tools" and self._kind == "t" and data.get("tool_call_id") == self._name:
            named = {"tool-started": ("input",), "tool-finished": ("output",), "tool-error": ()}
            for name in named.get(str(data.get("event")), ()):
                self.found[name] = data.get(name)
            if data.get("event") == "tool-error":
                self.found["error"] = self.found["error"] or data.get("message")
        elif mode == TOOL and self._kind == "t" and data.get("id") == self._name:
            self.found["error"] = data.get("error")
        elif mode == "model" and data.get("id") == self._name:
            self.found["usage"] = data.get("usage") or self.found.get("usage")
            self.found["error"] = data.get("error") or self.found["error"]
        elif mode == "messages" and self._kind in "ms" and self._begin <= at <= self._end:
            self._say(list(namespace), data)

    def _task(self, namespace: tuple[str, ...], task: Mapping[str, Any]) -> None:
        if "result" not in task:
            values = self._values.get(namespace)
            self._before, given = values, task.get("input")
            if isinstance(given, dict) and given.keys() == {OF_VALUES} and isinstance(values, Mapping):
                given = {key: values.get(key) for key in given[OF_VALUES]}
            self.found["input"] = given
            return
        self._ended = True
        self.found |= {"output": task.get("result"), "error": task.get("error")}
        if task.get("interrupts"):
            self.found["questions"] = task["interrupts"]

    def _say(self, namespace: list[str], message: Mapping[str, Any]) -> None:
        """Add a part of what a model says, if it is this step's."""
        if message.get("node") != self._node or namespace != self._namespace:
            return
        content = message.get("content")
        blocks = [content] if isinstance(content, str) else content if isinstance(content, list) else []
        for block in blocks:
            text = (
                block if isinstance(block, str) else block.get("text") if isinstance(block, Mapping) else None
            )
            if isinstance(text, str):
                self._text.append(text)


def _items(entry: Entry, namespace: list[str]) -> Iterator[tuple[str, Any, int, Any]]:
    if entry.name == PACK:
        yield from decode(entry.data)
        return
    mode, *names = entry.name.split("|")
    if mode in ("tasks", "tools") or (mode == "values" and names == namespace):
        yield mode, names, entry.at, decode(entry.data)
    elif mode == "messages":
        message, metadata = decode(entry.data)
        yield mode, names, entry.at, {**message, "node": metadata.get("langgraph_node")}
