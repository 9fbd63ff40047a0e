"""Spans of generated logs: nesting, times and statuses hold whatever a log says."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runs.encoding import encode
from runs.protocols.agent.items import PACK
from runs.protocols.spans import MOST_SPANS, Entry, Times, Try
from runs.protocols.timeline import timeline


class Log:
    """Writes a log as a run does, one item in each row."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.now = 1000

    def item(self, mode: str, data: Any, *namespace: str, epoch: int = 1, after: int = 10) -> None:
        self.now += after
        row = encode([[mode, list(namespace), self.now, data]])
        self.entries.append(Entry(epoch, len(self.entries) + 1, PACK, row, self.now))

    def begin(self, task: str, name: str, *namespace: str, **more: Any) -> None:
        self.item("tasks", {"id": task, "name": name, "input": {}, "triggers": []}, *namespace, **more)

    def end(self, task: str, *namespace: str, **more: Any) -> None:
        error, interrupts = more.pop("error", None), more.pop("interrupts", [])
        result = {"id": task, "name": "x", "error": error, "result": {}, "interrupts": interrupts}
        self.item("tasks", result, *namespace, **more)


def test_a_subgraph_with_a_model_and_a_tool() -> None:
    log = Log()
    log.begin("T1", "agent")
    log.begin("T2", "call", "agent:T1")
    log.item("model", {"event": "start", "id": "M", "name": "sonnet"}, "agent:T1", "call:T2")
    usage = {"input_tokens": 3, "output_tokens": 4}
    log.item("model", {"event": "end", "id": "M", "usage": usage})
    log.item("messages", {"id": "m", "type": "AIMessageChunk", "node": "call"}, "agent:T1")
    log.end("T2", "agent:T1")
    log.begin("T3", "tools", "agent:T1")
    log.item(
        "tools", {"event": "tool-started", "tool_call_id": "c", "tool_name": "look"}, "agent:T1", "tools:T3"
    )
    log.item("tools", {"event": "tool-error", "tool_call_id": "c", "message": "hidden"}, "agent:T1")
    log.item("tool", {"event": "error", "id": "c", "error": {"error": "Gone", "message": "no"}})
    log.end("T3", "agent:T1", error={"error": "KeyError", "message": "'x'"})
    spans = timeline(Times(900, 2000), [Try(1, 1, 1000, 2000, "error")], log.entries).spans
    told = [(span.kind, span.name, span.parent, span.status) for span in spans]
    assert told == [
        ("queue", "In queue", "", "done"),
        ("attempt", "Attempt 1", "", "failed"),
        ("subgraph", "agent", "a1", "failed"),
        ("node", "call", "n1:T1", "done"),
        ("model", "sonnet", "n1:T2", "done"),
        ("node", "tools", "n1:T1", "failed"),
        ("tool", "look", "n1:T3", "failed"),
    ]
    assert spans[4].detail["usage"] == usage
    assert spans[6].detail["error"] == {"error": "Gone", "message": "no"}
    assert (spans[4].begin, spans[4].end) == (1030, 1040)
    assert (spans[2].end, spans[2].first) == (2000, "1-1")


def test_attempts_of_a_lost_process_and_the_queue_between() -> None:
    log = Log()
    log.begin("T1", "plan", epoch=1)
    log.begin("T1", "plan", epoch=3, after=4000)
    log.end("T1", epoch=3)
    tries = [Try(1, 1, 1000, 3000, "lost"), Try(2, 3, 4500)]
    spans = timeline(Times(1000), tries, log.entries).spans
    assert [(span.name, span.status, span.end) for span in spans] == [
        ("Attempt 1", "lost", 3000),
        ("plan", "lost", 3000),
        ("In queue again", "done", 4500),
        ("Attempt 2", "running", None),
        ("plan", "done", 5020),
    ]


def test_a_run_that_waits_is_open() -> None:
    (span,) = timeline(Times(1000), [], []).spans
    assert (span.kind, span.end, span.status) == ("queue", None, "running")


def test_a_question_waits_from_the_end_of_the_run() -> None:
    log = Log()
    log.begin("T1", "ask")
    log.end("T1", interrupts=[{"id": "i", "value": "?"}])
    tries = [Try(1, 1, 1000, 2000, "success")]
    open_one = timeline(Times(1000, 2000), tries, log.entries).spans[-1]
    assert (open_one.kind, open_one.begin, open_one.end, open_one.status) == ("wait", 2000, None, "asked")
    answered = timeline(Times(1000, 2000, 5000), tries, log.entries).spans[-1]
    assert (answered.end, answered.status) == (5000, "done")


def test_rows_of_requested_modes_count_too() -> None:
    task = {"id": "T", "name": "plan", "input": {}, "triggers": []}
    entries = [
        Entry(1, 1, "tasks", encode(task), 1100),
        Entry(1, 2, "messages", encode([{"id": "m", "type": "ai"}, {"langgraph_node": "plan"}]), 1200),
        Entry(1, 3, "values", "not even JSON", 1300),
    ]
    spans = timeline(Times(1000), [Try(1, 1, 1000)], entries).spans
    assert [(span.kind, span.parent) for span in spans] == [
        ("attempt", ""), ("node", "a1"), ("model", "n1:T"),
    ]  # fmt: skip


names = st.sampled_from(["a", "b", "c"])
tasks = st.sampled_from(["T1", "T2", "T3", "T4"])
namespaces = st.lists(st.builds("{}:{}".format, names, tasks), max_size=3)
steps = st.one_of(
    st.tuples(st.just("begin"), tasks, names, namespaces),
    st.tuples(st.just("end"), tasks, names, namespaces),
    st.tuples(st.sampled_from(["start", "stop", "tool", "result"]), tasks, names, namespaces),
)


@given(st.lists(steps, max_size=40), st.integers(1, 3), st.sampled_from(["", "lost", "error", "success"]))
@settings(deadline=None, max_examples=150)
def test_any_log_makes_a_tree_within_time(story: list[Any], attempts: int, reason: str) -> None:
    log = Log()
    for number, (kind, task, name, namespace) in enumerate(story):
        epoch = 1 + number * attempts // max(len(story), 1)
        match kind:
            case "begin":
                log.begin(task, name, *namespace, epoch=epoch)
            case "end":
                log.end(task, *namespace, epoch=epoch)
            case "start" | "stop":
                event = "start" if kind == "start" else "end"
                log.item("model", {"event": event, "id": task, "name": name}, *namespace, epoch=epoch)
            case _:
                event = "tool-started" if kind == "tool" else "tool-finished"
                log.item("tools", {"event": event, "tool_call_id": task}, *namespace, epoch=epoch)
    last = log.now + 10
    tries = [
        Try(
            number,
            number,
            1000,
            last if reason or number < attempts else None,
            reason or "lost" if number < attempts else reason,
        )
        for number in range(1, attempts + 1)
    ]
    spans = timeline(Times(900, last if reason else None), tries, log.entries).spans
    seen: set[str] = set()
    for span in spans:
        assert span.id not in seen
        assert not span.parent or span.parent in seen
        assert span.end is None or span.end >= span.begin
        assert (span.status in ("running", "asked")) or span.end is not None
        seen.add(span.id)


def test_ten_thousand_spans_take_less_than_a_second_and_more_are_counted() -> None:
    log = Log()
    for number in range(MOST_SPANS + 500):
        log.begin(f"T{number}", "step")
        log.end(f"T{number}")
    began = time.process_time()
    found = timeline(Times(900), [Try(1, 1, 1000)], log.entries)
    assert time.process_time() - began < 2
    assert len(found.spans) == MOST_SPANS + 1
    assert found.dropped == 501
