"""A run's log as protocol events: order, ids and forms as measured on the wire of the reference server."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage

from runs.encoding import encode
from runs.events.table import Event
from runs.protocols.agent.items import PACK, Compactor, pack
from runs.protocols.agent.projection import RunProjection

RUN = "01a20943-1bca-7219-a1d9-28c365b3ef1c"
META = {"langgraph_node": "agent"}
Json = dict[str, Any]


class Log:
    """Writes a log as a run does, and reads it as a client does."""

    def __init__(self, graph: str = "chat") -> None:
        self.projection = RunProjection(RUN, graph)
        self.compactor = Compactor()
        self.events: list[Json] = []
        self.epoch, self.seq = 1, 0

    def row(self, name: str, data: Any) -> None:
        self.seq += 1
        self._project(Event(self.epoch, self.seq, name, encode(data)))

    def item(self, mode: str, data: Any, namespace: tuple[str, ...] = ()) -> None:
        item = self.compactor.item(mode, namespace, data, now=1.0)
        if mode == "values":
            self.compactor.note_values(namespace, data)
        assert item is not None
        self.seq += 1
        self._project(Event(self.epoch, self.seq, PACK, pack([item])))

    def attempt(self, number: int = 1) -> None:
        self.epoch, self.seq = number, 0
        self.row("metadata", {"run_id": RUN, "attempt": number})

    def end(self, status: str = "success") -> None:
        self._keep(self.projection.end(status, timestamp=2))

    def _project(self, event: Event) -> None:
        self._keep(self.projection.feed(event, timestamp=2))

    def _keep(self, events: Any) -> None:
        self.events += [json.loads(event.json()) for event in events]

    def data(self, method: str) -> list[Json]:
        return [each["params"]["data"] for each in self.events if each["method"] == method]

    @property
    def said(self) -> list[tuple[str, Json]]:
        """(method, data), without the ids by which clients distinguish messages."""
        found = []
        for each in self.events:
            data = dict(each["params"]["data"])
            if each["method"] == "messages":
                data.pop("run_id")
                if data["event"] != "message-start":
                    data.pop("id")
            found.append((each["method"], data))
        return found


def chunk(text: str, **fields: Any) -> AIMessageChunk:
    return AIMessageChunk(text, **{"id": "lc_run--01a20943-1f07", **fields})


def test_a_streamed_answer_is_what_the_reference_sends() -> None:
    """The events of the reference's captured chat, in its order."""
    log = Log()
    log.attempt()
    log.item("values", {"log": []})
    for text in ("Hello", " ", "big"):
        log.item("messages", (chunk(text), META))
    log.item("messages", (chunk(" world", chunk_position="last"), META))
    log.item("values", {"log": ["agent"]})
    log.end()
    assert log.said == [
        ("lifecycle", {"event": "running", "graph_name": "chat"}),
        ("values", {"log": []}),
        ("messages", {"event": "message-start", "role": "ai", "id": "lc_run--01a20943-1f07"}),
        ("messages", {"event": "content-block-start", "index": 0, "content": {"type": "text", "text": ""}}),
        *(
            (
                "messages",
                {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": text}},
            )
            for text in ("Hello", " ", "big", " world")
        ),
        (
            "messages",
            {
                "event": "content-block-finish",
                "index": 0,
                "content": {"type": "text", "text": "Hello big world"},
            },
        ),
        ("messages", {"event": "message-finish"}),
        ("values", {"log": ["agent"]}),
        ("lifecycle", {"event": "completed", "graph_name": "chat"}),
    ]
    ids = [each["event_id"] for each in log.events]
    assert ids[0] == f"synth:{RUN}:lc||running"
    assert ids[-1] == f"synth:{RUN}:lc||completed"
    assert ids[2:5] == ["1-3", "1-3.1", "1-3.2"]
    assert len(ids) == len(set(ids))


def test_rows_and_items_say_the_same() -> None:
    """The run's requested modes are logged in another form, and projected into the same events."""
    said = []
    for asked in (True, False):
        log = Log()
        log.attempt()
        state = {"messages": [HumanMessage("hi", id="1")]}
        last = chunk("b", chunk_position="last", response_metadata={"model_name": "m"})
        task: Json = {"id": "t", "name": "agent", "error": None, "result": {}, "interrupts": []}
        if asked:
            log.row("values", state)
            log.row("messages", [chunk("a"), META])
            log.row("messages", [last, META])
            log.row("updates", {"agent": {"x": 1}})
            log.row("custom", {"progress": 1})
            log.row("tasks", task)
        else:
            log.item("values", state)
            log.item("messages", (chunk("a"), META))
            log.item("messages", (last, META))
            log.item("updates", {"agent": {"x": 1}})
            log.item("custom", {"progress": 1})
            log.item("tasks", task)
        log.end()
        said.append(log.said)
    assert said[0] == said[1]
    assert ("updates", {"node": "agent", "values": {"agent": {"x": 1}}}) in said[0]
    assert ("custom", {"payload": {"progress": 1}}) in said[0]
    assert said[0][-2][0] == "tasks"


def test_a_tool_call_is_complete_at_its_end() -> None:
    log = Log()
    log.attempt()
    for number, args in enumerate(('{"q": ', '"x"}')):
        call = {
            "name": "search" if not number else None, "args": args, "id": "c1" if not number else None, "index": 0,
            "type": "tool_call_chunk",
        }  # fmt: skip
        log.item("messages", (chunk("", tool_call_chunks=[call]), META))
    log.item("messages", (chunk("", chunk_position="last"), META))
    found = log.data("messages")
    starts = [each for each in found if each["event"] == "content-block-start"]
    assert [each["content"]["type"] for each in starts] == ["tool_call_chunk"]
    assert [each["delta"]["args"] for each in found if each["event"] == "content-block-delta"] == [
        '{"q": ',
        '"x"}',
    ]
    [finish] = [each["content"] for each in found if each["event"] == "content-block-finish"]
    assert finish == {"type": "tool_call", "id": "c1", "name": "search", "args": {"q": "x"}}


def test_messages_that_come_whole_are_messages_too_but_not_what_tools_return() -> None:
    log = Log()
    log.attempt()
    calls = [{"name": "f", "args": {"a": 1}, "id": "c"}]
    log.item("messages", (AIMessage("yes", id="m1", tool_calls=calls), META))
    log.item("messages", (HumanMessage("no", id="m2"), META))
    log.item("messages", (ToolMessage("result", tool_call_id="c", id="m3"), META))
    found = log.data("messages")
    assert [each["id"] for each in found if each["event"] == "message-start"] == ["m1", "m2"]
    assert [each["role"] for each in found if each["event"] == "message-start"] == ["ai", "human"]
    blocks = [each["content"] for each in found if each["event"] == "content-block-finish"]
    assert [block["type"] for block in blocks] == ["text", "tool_call", "text"]


def test_messages_streamed_at_once_can_be_told_apart() -> None:
    log = Log()
    log.attempt()
    for text in ("a", "b"):
        for name in ("one", "two"):
            log.item("messages", (AIMessageChunk(text + name, id=f"lc_run--{name}"), META))
    log.end()
    grown: dict[str, str] = {}
    for each in log.data("messages"):
        if each["event"] == "content-block-delta":
            grown[each["run_id"]] = grown.get(each["run_id"], "") + each["delta"]["text"]
    assert grown == {"one": "aonebone", "two": "atwobtwo"}
    finished = {each["id"] for each in log.data("messages") if each["event"] == "message-finish"}
    assert finished == {"lc_run--one", "lc_run--two"}


def test_a_question_comes_after_all_content_and_before_the_end() -> None:
    """The order of the reference's captured interrupt."""
    log = Log("hitl")
    log.attempt()
    log.row("values", {"log": []})
    log.item("messages", (chunk("half"), META))
    asked = [{"value": {"question": "ok?"}, "id": "5c80", "response_schema": None}]
    log.item("updates", {"__interrupt__": asked})
    log.row("values", {"log": [], "__interrupt__": asked})
    log.end()
    assert [method for method, _ in log.said][-6:] == [
        "values", "messages", "messages", "input.requested", "lifecycle",
    ] or [method for method, _ in log.said][-4:] == ["messages", "messages", "input.requested", "lifecycle"]  # fmt: skip
    assert log.events[-2]["event_id"] == f"synth:{RUN}:input||5c80"
    assert log.data("input.requested") == [
        {"interrupt_id": "5c80", "payload": {"question": "ok?"}, "value": {"question": "ok?"}}
    ]
    assert log.said[-1] == ("lifecycle", {"event": "interrupted", "graph_name": "hitl"})
    assert all("__interrupt__" not in data for data in log.data("values"))


def test_the_innermost_graph_that_asks_is_the_one_to_answer() -> None:
    log = Log()
    log.attempt()
    asked = [{"value": 1, "id": "q"}]
    log.item("updates", {"__interrupt__": asked}, ("sub:t",))
    log.item("updates", {"__interrupt__": asked})
    log.end()
    assert [each["event_id"] for each in log.events if each["method"] == "input.requested"] == [
        f"synth:{RUN}:input|sub:t|q"
    ]


def test_a_breakpoint_interrupts_without_a_question() -> None:
    log = Log()
    log.attempt()
    log.item("updates", {"__interrupt__": []})
    log.end()
    assert [data["event"] for data in log.data("lifecycle")] == ["running", "interrupted", "completed"]
    assert log.data("lifecycle")[-1]["reason"] == "breakpoint"
    assert log.data("input.requested") == []


def test_a_subgraph_begins_with_its_first_task_and_ends_with_the_task_that_invoked_it() -> None:
    log = Log("nested")
    log.attempt()
    state: Json = {"log": ["first"]}
    log.item("values", state)
    log.item("tasks", {"id": "780a", "name": "sub", "input": {"log": state["log"]}, "triggers": []})
    log.item("tasks", {"id": "1", "name": "x", "input": {}, "triggers": [], "metadata": {}}, ("sub:780a",))
    log.item("tasks", {"id": "780a", "name": "sub", "error": None, "result": {}, "interrupts": []})
    log.end()
    assert log.data("lifecycle")[1] == {
        "event": "started", "namespace": ["sub:780a"], "graph_name": "sub", "trigger_call_id": "780a",
    }  # fmt: skip
    ended = next(
        each for each in log.events if each["event_id"].endswith("|completed") and "780a" in each["event_id"]
    )
    assert ended["event_id"] == f"synth:{RUN}:lc|sub:780a|completed"
    assert ended["params"]["namespace"] == ["sub:780a"]
    assert ended["params"]["data"] == {"event": "completed", "graph_name": "sub"}
    # A task's input that equals the state was not logged again.
    assert log.data("tasks")[0]["input"] == {"log": ["first"]}
    assert log.projection.tree()["children"][0]["status"] == "completed"


def test_a_tool_that_is_an_agent_is_attributed_to_its_call() -> None:
    log = Log()
    log.attempt()
    call = {"tool_call": {"id": "call-1", "name": "ask"}}
    log.item("tasks", {"id": "9", "name": "tools", "input": call, "triggers": []})
    inner = {"id": "1", "name": "model", "input": {}, "metadata": {"lc_agent_name": "helper"}}
    log.item("tasks", inner, ("tools:9",))
    started = log.data("lifecycle")[1]
    assert started["graph_name"] == "helper"
    assert started["cause"] == {"type": "toolCall", "tool_call_id": "call-1"}


def test_what_an_attempt_left_unfinished_is_ended_by_the_next_one_and_nothing_begins_twice() -> None:
    log = Log()
    log.attempt(1)
    log.item("messages", (chunk("half a sen"), META))
    log.item("tasks", {"id": "1", "name": "x", "input": {}, "metadata": {}}, ("sub:t",))
    log.attempt(2)
    log.item("tasks", {"id": "1", "name": "x", "input": {}, "metadata": {}}, ("sub:t",))
    log.item("messages", (chunk("whole", chunk_position="last"), META))
    log.end()
    kinds = [data["event"] for data in log.data("messages")]
    assert kinds.count("message-start") == 2
    assert kinds[:4] == ["message-start", "content-block-start", "content-block-delta", "error"]
    assert kinds[-1] == "message-finish"
    assert [data["event"] for data in log.data("lifecycle")] == [
        "running",
        "started",
        "completed",
        "completed",
    ]
    ids = [each["event_id"] for each in log.events]
    assert len(ids) == len(set(ids))


def test_what_a_lost_attempt_streamed_is_taken_back() -> None:
    log = Log()
    log.attempt(1)
    asked = [HumanMessage("hi", id="h")]
    log.item("values", {"messages": asked, "kept": 1})
    # A complete one is lost too, because no state has it.
    log.item("messages", (chunk("whole", id="a", chunk_position="last"), META))
    log.item("messages", (chunk("half a sen", id="b"), META))
    log.attempt(2)
    [stated, shown, then] = log.data("values")
    assert [message["id"] for message in shown["messages"]] == ["h", "a", "b"]
    assert then == stated
    log.item("messages", (chunk("whole", id="c", chunk_position="last"), META))
    log.item("values", {"messages": [*asked, AIMessage("whole", id="c")], "kept": 1})
    log.attempt(3)
    assert len(log.data("values")) == 4, "The state is not lost."
    ids = [each["event_id"] for each in log.events]
    assert len(ids) == len(set(ids))


def test_a_failed_run_ends_what_is_open_and_says_why() -> None:
    log = Log("err")
    log.attempt()
    log.item("messages", (chunk("half"), META))
    log.row("error", {"error": "ValueError", "message": "kaboom"})
    log.end("error")
    assert log.said[-1] == ("lifecycle", {"event": "failed", "graph_name": "err", "error": "kaboom"})
    assert log.data("messages")[-1]["event"] == "error"


def test_a_run_that_never_began_begins_and_ends() -> None:
    log = Log()
    log.end("interrupted")
    assert [data["event"] for data in log.data("lifecycle")] == ["running", "interrupted", "completed"]
    assert log.data("lifecycle")[-1]["reason"] == "cancelled"


def test_a_named_custom_event_has_a_channel_of_its_own() -> None:
    log = Log()
    log.attempt()
    log.item("custom", {"name": "a2a", "payload": [1]})
    log.item("custom", {"name": "a2a", "payload": [1], "more": True})
    log.item("custom", {"name": "a2a", "more": True})
    log.item("custom", {"name": 1})
    # Python's SDK reads the flat fields, JavaScript's the payload.
    assert log.data("custom") == [
        {"name": "a2a", "payload": [1]},
        {"name": "a2a", "payload": [1], "more": True},
        {"name": "a2a", "more": True, "payload": {"name": "a2a", "more": True}},
        {"payload": {"name": 1}},
    ]


def test_the_next_attempt_tells_no_checkpoint_twice() -> None:
    log = Log()
    checkpoint = {
        "config": {"configurable": {"checkpoint_id": "c2", "thread_id": "t"}},
        "parent_config": {"configurable": {"checkpoint_id": "c1"}},
        "metadata": {"step": 3, "source": "loop"},
        "values": {"large": "state"},
    }
    for number in (1, 2):
        log.attempt(number)
        log.item("checkpoints", checkpoint)
    assert log.data("checkpoints") == [{"id": "c2", "parent_id": "c1", "step": 3, "source": "loop"}]


def test_nothing_is_dated_before_what_it_follows() -> None:
    """Stock clients drop what is older than the state that they have read, and would miss a last state."""
    log = Log()
    log.attempt()
    log.item("checkpoints", {"config": {"configurable": {"checkpoint_id": "c1"}}, "metadata": {"step": 1}})
    log.row("values", {"messages": []})
    log.end()
    times = [each["params"]["timestamp"] for each in log.events]
    assert [each["method"] for each in log.events] == ["lifecycle", "checkpoints", "values", "lifecycle"]
    assert times == [2, 1000, 1000, 1000]


def test_a_message_continues_whatever_its_model_says_of_its_tokens() -> None:
    log = Log()
    log.attempt()
    said: Any = [{"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}, {"input_tokens": math.nan}]
    for usage, more in zip(said, ({}, {"chunk_position": "last"}), strict=True):
        part = chunk("a", **more)
        part.usage_metadata = usage
        log.item("messages", (part, META))
    ends = [data for data in log.data("messages") if data["event"] == "message-finish"]
    assert [end["usage"] for end in ends] == [{"input_tokens": None}]


def test_a_whole_message_has_its_blocks_whatever_its_model_says_of_its_tokens() -> None:
    log = Log()
    log.attempt()
    message = AIMessage([{"type": "text", "text": "yes"}], id="m1")
    message.usage_metadata = cast(Any, {"input_tokens": math.nan})
    log.item("messages", (message, META))
    finished = [data["content"] for data in log.data("messages") if data["event"] == "content-block-finish"]
    assert finished == [{"type": "text", "text": "yes"}]
