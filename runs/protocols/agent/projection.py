"""A run's event log as the events of the agent streaming protocol. Pure: no Django, no database.

The projection is deterministic: every reader gets the same events at any time. A run's events begin
with `running` and end with `completed`, `interrupted` or `failed`. Before the end, all streamed
messages are completed and all interrupts are reported. A run that is `interrupted` without an
interrupt of the graph is `completed` after it. A lost attempt leaves messages without an end; the
next attempt ends them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from runs.encoding import decode, encode
from runs.protocols.agent.events import Namespace, ProtocolEvent
from runs.protocols.agent.items import OF_VALUES, PACK
from runs.protocols.agent.messages import Messages, Piece
from runs.protocols.agent.streamed import Streamed
from runs.protocols.agent.subgraphs import Subgraphs

INTERRUPT = "__interrupt__"
LOST = "The attempt that streamed this message was lost; the run continues with another one."
INCOMPLETE = "The run failed before this message was complete."
#: The protocol's status for each run status. A `success` with unanswered interrupts is `interrupted` too.
ENDINGS = {"success": "completed", "interrupted": "interrupted", "error": "failed", "timeout": "failed"}


class LogEvent(Protocol):
    """An entry of a run's event log: a stream mode with a subgraph's namespace, and JSON."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def data(self) -> str: ...


class RunProjection:
    """The protocol's events of one run, over all its attempts, in the log's order."""

    def __init__(self, run_id: str, graph_name: str) -> None:
        self.run_id = run_id
        self.graph_name = graph_name
        #: `running`, or the final status; None before the run has begun.
        self.status: str | None = None
        self.subgraphs = Subgraphs()
        self._messages = Messages()
        self._streamed = Streamed()
        #: Interrupts by id, each with the innermost namespace that raised it.
        self._questions: dict[str, tuple[Namespace, Any]] = {}
        #: Whether the graph is interrupted. A breakpoint interrupts it without an interrupt's value.
        self._asked = False
        self._error: str | None = None
        #: Checkpoints that were sent. A later attempt begins with the checkpoint from which it continues.
        self._checkpoints: set[str] = set()
        #: The log entry that is being projected, and the number of its events so far.
        self._source, self._count, self._time = "", 0, 0

    # --- the log's entries

    def feed(self, event: LogEvent, *, timestamp: int) -> list[ProtocolEvent]:
        """The events of one entry of the log.

        Args:
            timestamp: The earliest time at which it was logged, in milliseconds. Items carry their own, and
                what follows them is not older: stock clients drop what is older than the state that they
                have read.
        """
        self._source, self._count, self._time = event.id, 0, max(self._time, timestamp)
        mode, *namespace = event.name.split("|")
        if mode == "metadata":
            return list(self._begin())
        if mode == "error":
            self._error = decode(event.data).get("message")
            return []
        if mode == PACK:
            found: list[ProtocolEvent] = []
            for kind, where, self._time, data in decode(event.data):
                found += self._item(kind, tuple(where), data)
            return found
        return list(self._row(mode, tuple(namespace), event.data))

    def end(self, status: str, *, timestamp: int, error: str | None = None) -> list[ProtocolEvent]:
        """The events of the run's end.

        Args:
            status: The run's final status.
            error: The clients' form of a failure that is not in the log.
        """
        self._time = max(self._time, timestamp)
        ending = ENDINGS[status]
        if self._asked and status == "success":
            ending = "interrupted"
        found = list(self._begin()) if self.status is None else []
        pieces = self._messages.close(INCOMPLETE if ending == "failed" else None)
        for number, piece in enumerate(pieces):
            found.append(self._made(f"synth:{self.run_id}:messages|{number}", *_of_piece(piece)))
        found += [self._ended(*each) for each in self.subgraphs.close(ending)]
        for key, (namespace, value) in self._questions.items():
            event_id = f"synth:{self.run_id}:input|{'|'.join(namespace)}|{key}"
            # Stock clients read `payload` (JavaScript) or `value` (Python).
            asked = encode({"interrupt_id": key, "payload": value, "value": value})
            found.append(self._made(event_id, "input.requested", namespace, asked, ends=True))
        data = {"event": ending, "graph_name": self.graph_name}
        if ending == "failed":
            data["error"] = self._error or error or "An internal error occurred"
        self.status = ending
        found.append(self._root(data))
        if ending == "interrupted" and not self._questions:
            # JavaScript clients stop at the first event. Python clients expect an interrupt to follow it, and
            # wait.
            reason = "cancelled" if status == "interrupted" else "breakpoint"
            found.append(self._root({**data, "event": "completed", "reason": reason}))
        return found

    def tree(self) -> dict[str, Any]:
        """The graph and its subgraphs, each with its status."""
        tree: dict[str, Any] = {"namespace": [], "status": self.status, "graph_name": self.graph_name}
        return tree | ({"children": children} if (children := self.subgraphs.tree()) else {})

    # --- their events

    def _begin(self) -> Iterator[ProtocolEvent]:
        if self.status is not None:
            for piece in self._messages.close(LOST):
                yield self._next(*_of_piece(piece))
            for namespace, values in self._streamed.withdrawn():
                yield self._next("values", namespace, values)
            return
        self.status = "running"
        data = encode({"event": "running", "graph_name": self.graph_name})
        yield self._made(self._lifecycle_id((), "running"), "lifecycle", (), data)

    def _row(self, mode: str, namespace: Namespace, data: str) -> Iterator[ProtocolEvent]:
        """The events of an entry that the run's creator requested."""
        match mode:
            case "values":
                if INTERRUPT in data:
                    yield from self._item(mode, namespace, decode(data))
                else:
                    yield self._state(namespace, data)
            case "tools":
                yield self._next(mode, namespace, data)
            case "messages":
                message, metadata = decode(data)
                node = metadata.get("langgraph_node")
                yield from self._item(mode, namespace, {**message, "node": node})
            case "updates" | "custom" | "tasks":
                yield from self._item(mode, namespace, decode(data))
            # Checkpoints are always kept as items; `debug` and `events` contain nothing that other modes
            # lack.

    def _item(self, mode: str, namespace: Namespace, data: Any) -> Iterator[ProtocolEvent]:
        match mode:
            case "values":
                if isinstance(data, dict) and INTERRUPT in data:
                    self._ask(namespace, data.pop(INTERRUPT))
                yield self._state(namespace, encode(data))
            case "updates":
                yield from self._updates(namespace, data)
            case "messages":
                for piece in self._messages.feed(namespace, data, data.get("node")):
                    self._streamed.note(piece)
                    yield self._next(*_of_piece(piece))
            case "custom":
                yield self._custom(namespace, data)
            case "tasks":
                yield from self._task(namespace, data)
            case "checkpoints" if data["id"] not in self._checkpoints:
                self._checkpoints.add(data["id"])
                event_id = f"synth:{self.run_id}:checkpoint|{'|'.join(namespace)}|{data['id']}"
                yield self._made(event_id, mode, namespace, encode(data))
            case "tools":
                yield self._next(mode, namespace, encode(data))

    def _state(self, namespace: Namespace, values: str) -> ProtocolEvent:
        self._streamed.note_values(namespace, values)
        return self._next("values", namespace, values)

    def _updates(self, namespace: Namespace, data: dict[str, Any]) -> Iterator[ProtocolEvent]:
        if INTERRUPT in data:
            self._asked = self._asked or not namespace
            self._ask(namespace, data[INTERRUPT])
            return
        told: dict[str, Any] = {"values": data}
        if len(data) == 1:
            told = {"node": next(iter(data)), **told}
        yield self._next("updates", namespace, encode(told))

    def _custom(self, namespace: Namespace, data: Any) -> ProtocolEvent:
        """A node's custom event.

        Python's SDK reads a named event's top-level fields, JavaScript's its `payload`.
        """
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(name, str):
            told = {**data, "payload": data.get("payload", data)}
        else:
            name, told = None, {"payload": data}
        event = self._next("custom", namespace, encode(told))
        event.name = name
        return event

    def _task(self, namespace: Namespace, task: dict[str, Any]) -> Iterator[ProtocolEvent]:
        if "result" not in task and "input" in task:
            given = task["input"]
            if (started := self.subgraphs.started(namespace, task)) is not None:
                yield self._next("lifecycle", namespace, encode(started))
            if isinstance(given, dict) and given.keys() == {OF_VALUES}:
                values = self._streamed.values(namespace)
                task = {**task, "input": {key: values.get(key) for key in given[OF_VALUES]}}
            yield self._next("tasks", namespace, encode(task))
            return
        self._ask(namespace, task.get("interrupts"))
        yield self._next("tasks", namespace, encode(task))
        for child, data in self.subgraphs.finished(namespace, task):
            self._streamed.forget(child)
            yield self._ended(child, data)

    def _ask(self, namespace: Namespace, questions: Any) -> None:
        for question in questions or ():
            if isinstance(question, Mapping) and (key := question.get("id")):
                where, _ = self._questions.get(key, ((), None))
                self._questions[key] = (max(where, namespace, key=len), question.get("value"))

    # --- events

    def _next(self, method: str, namespace: Namespace, data: str, node: str | None = None) -> ProtocolEvent:
        """An event of the log's entry.

        The first has the entry's id; later ones have a number appended.
        """
        event_id = f"{self._source}.{self._count}" if self._count else self._source
        self._count += 1
        return self._made(event_id, method, namespace, data, node)

    def _made(
        self,
        event_id: str,
        method: str,
        namespace: Namespace,
        data: str,
        node: str | None = None,
        *,
        ends: bool = False,
    ) -> ProtocolEvent:
        return ProtocolEvent(event_id, method, namespace, self._time, data, node, ends=ends)

    def _root(self, data: dict[str, Any]) -> ProtocolEvent:
        """The run's final lifecycle event."""
        return self._made(self._lifecycle_id((), data["event"]), "lifecycle", (), encode(data), ends=True)

    def _ended(self, namespace: Namespace, data: dict[str, Any]) -> ProtocolEvent:
        event_id = self._lifecycle_id(namespace, data["event"])
        return self._made(event_id, "lifecycle", namespace, encode(data))

    def _lifecycle_id(self, namespace: Namespace, status: str) -> str:
        return f"synth:{self.run_id}:lc|{'|'.join(namespace)}|{status}"


def _of_piece(piece: Piece) -> tuple[str, Namespace, str, str | None]:
    return "messages", piece.namespace, encode(piece.data), piece.node
