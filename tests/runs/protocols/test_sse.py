"""Server-sent events as LangGraph Server sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from langgraph_sdk.sse import SSEDecoder

from runs.protocols.sse import (
    HEARTBEAT,
    LIVE,
    START,
    Projection,
    frame,
    listed_values,
    narrowed,
    parse_last_event_id,
)


@dataclass(frozen=True)
class Event:
    epoch: int
    seq: int
    name: str
    data: str


def event(seq: int, name: str, data: Any, *, epoch: int = 1) -> Event:
    return Event(epoch, seq, name, orjson.dumps(data).decode())


def chunk(text: str, message_id: str = "ai-1", **extra: Any) -> list[dict[str, Any]]:
    message = {
        "content": text,
        "additional_kwargs": {},
        "response_metadata": {},
        "type": "AIMessageChunk",
        "name": None,
        "id": message_id,
        "tool_calls": [],
        "invalid_tool_calls": [],
        "usage_metadata": None,
        "tool_call_chunks": [],
        "chunk_position": None,
        **extra,
    }
    return [message, {"langgraph_node": "agent"}]


def names(projection: Projection, events: list[Event]) -> list[str]:
    return [name for each in events for name, _ in projection.feed(each)]


def parsed(wire: bytes) -> list[tuple[str, Any, str | None]]:
    """What the stock client's decoder reads."""
    decoder = SSEDecoder()
    found = []
    for line in wire.split(b"\r\n"):
        part = decoder.decode(line)
        if part is not None:
            found.append((part.event, part.data, decoder.last_event_id))
    return found


# --- frames


def test_a_frame_has_event_data_and_id_in_this_order_with_crlf() -> None:
    assert frame("values", '{"a":1}', "2-7") == b'event: values\r\ndata: {"a":1}\r\nid: 2-7\r\n\r\n'


def test_a_frame_without_an_id_has_no_id_line() -> None:
    assert frame("values", "{}") == b"event: values\r\ndata: {}\r\n\r\n"


def test_the_heartbeat_is_a_comment_that_clients_skip() -> None:
    assert HEARTBEAT == b": heartbeat\r\n\r\n"
    assert parsed(HEARTBEAT + frame("custom", "1")) == [("custom", 1, None)]


# --- positions


@pytest.mark.parametrize("text", ["-1", "-", "0", "0-0", " -1 "])
def test_the_start_can_be_asked_for_in_every_form_that_clients_use(text: str) -> None:
    assert parse_last_event_id(text) == START


@pytest.mark.parametrize("text", [None, "", "  "])
def test_without_an_id_a_reader_is_live(text: str | None) -> None:
    assert parse_last_event_id(text) is LIVE


def test_an_id_is_epoch_and_sequence() -> None:
    assert parse_last_event_id("3-141") == (3, 141)


@pytest.mark.parametrize(
    "text", ["garbage", "1", "1-", "-1-2", "1-2-3", "٣-٤", "9" * 40 + "-1", "1-99999999999", "null"]
)
def test_what_is_no_id_of_ours_loses_no_event(text: str) -> None:
    assert parse_last_event_id(text) == START


# --- modes


@pytest.mark.parametrize(
    "query",
    [
        ["values", "custom"],
        ["values,custom"],
        ['["values","custom"]'],
        [" values , custom "],
        ["values", "values,custom"],
    ],
)
def test_modes_come_repeated_or_with_commas_or_as_json(query: list[str]) -> None:
    assert listed_values(query) == ["values", "custom"]


@pytest.mark.parametrize("query", [[], [""], [","], ["[]"], ["[1, null]"], ["[oops"]])
def test_a_query_may_name_no_mode(query: list[str]) -> None:
    assert listed_values(query) == []


def test_a_reader_gets_all_modes_of_the_run_or_those_that_it_names() -> None:
    assert narrowed(["values", "custom"], []) == ["values", "custom"]
    assert narrowed(["values", "custom"], ["custom"]) == ["custom"]


def test_either_form_of_messages_means_the_one_that_the_run_was_created_with() -> None:
    assert narrowed(["messages-tuple", "values"], ["messages"]) == ["messages-tuple"]
    assert narrowed(["messages"], ["messages-tuple", "values"]) == ["messages", "values"]


# --- projection


def test_only_the_requested_modes_pass() -> None:
    log = [event(1, "values", {}), event(2, "updates", {}), event(3, "custom", 1), event(4, "debug", {})]
    assert names(Projection(["values", "custom"], subgraphs=False), log) == ["values", "custom"]


def test_metadata_error_and_end_pass_whatever_was_requested() -> None:
    log = [event(1, "metadata", {}), event(2, "values", {}), event(3, "error", {}), event(4, "end", None)]
    assert names(Projection(["custom"], subgraphs=False), log) == ["metadata", "error", "end"]


def test_events_of_subgraphs_keep_their_namespace_and_pass_only_on_request() -> None:
    log = [event(1, "updates|sub:1|deep:2", {}), event(2, "updates", {})]
    assert names(Projection(["updates"], subgraphs=True), log) == ["updates|sub:1|deep:2", "updates"]
    assert names(Projection(["updates"], subgraphs=False), log) == ["updates"]


def test_one_subgraph_can_be_named() -> None:
    log = [event(1, "updates|sub:1", {}), event(2, "updates|sub:2", {}), event(3, "updates", {})]
    assert names(Projection(["updates|sub:2"], subgraphs=True), log) == ["updates|sub:2"]


def test_tuples_of_messages_are_the_log_as_it_is() -> None:
    one = event(1, "messages|sub:1", chunk("Hel"))
    assert Projection(["messages-tuple"], subgraphs=True).feed(one) == [("messages|sub:1", one.data)]


def test_messages_are_cumulative_and_described_once_and_never_namespaced() -> None:
    projection = Projection(["messages"], subgraphs=True)
    log = [event(1, "messages|sub:1", chunk("Hel")), event(2, "messages|sub:1", chunk("lo"))]
    frames = [(name, orjson.loads(data)) for each in log for name, data in projection.feed(each)]
    assert [name for name, _ in frames] == ["messages/metadata", "messages/partial", "messages/partial"]
    assert frames[0][1] == {"ai-1": {"metadata": {"langgraph_node": "agent"}}}
    assert frames[2][1] == [
        {
            "content": "Hello",
            "additional_kwargs": {},
            "response_metadata": {},
            "type": "ai",
            "name": None,
            "id": "ai-1",
            "tool_calls": [],
            "invalid_tool_calls": [],
            "usage_metadata": None,
        }
    ]


def test_a_full_message_is_complete_at_once() -> None:
    message = {"content": "x", "type": "tool", "id": "t-1", "tool_call_id": "c"}
    frames = Projection(["messages"], subgraphs=False).feed(event(1, "messages", [message, {}]))
    assert [name for name, _ in frames] == ["messages/metadata", "messages/complete"]
    assert orjson.loads(frames[1][1]) == [message]


def test_both_forms_of_messages_can_be_read_at_once() -> None:
    projection = Projection(["messages", "messages-tuple"], subgraphs=False)
    log = [event(1, "messages", chunk("a")), event(2, "messages", chunk("b"))]
    assert names(projection, log) == [
        "messages",
        "messages/metadata",
        "messages/partial",
        "messages",
        "messages/partial",
    ]


def test_only_the_last_frame_of_an_event_carries_its_id() -> None:
    wire = Projection(["messages"], subgraphs=False).frames(event(9, "messages", chunk("a"), epoch=4))
    assert wire.count(b"\r\nid: ") == 1
    assert [(name, last_id) for name, _, last_id in parsed(wire)] == [
        ("messages/metadata", None),
        ("messages/partial", "4-9"),
    ]


def test_an_event_that_nobody_asked_for_is_nothing_on_the_wire() -> None:
    assert Projection(["values"], subgraphs=False).frames(event(1, "custom", 1)) == b""


def test_a_reader_that_resumes_within_a_message_gets_the_whole_message() -> None:
    log = [event(seq, "messages", chunk(text)) for seq, text in enumerate(["Hel", "lo ", "you"], 1)]
    whole = Projection(["messages"], subgraphs=False)
    expected = [whole.feed(each) for each in log][-1]
    resumed = Projection(["messages"], subgraphs=False)
    assert resumed.cumulative
    for each in log[:-1]:
        resumed.prime(each)
    assert resumed.feed(log[-1]) == expected
    assert orjson.loads(expected[-1][1])[0]["content"] == "Hello you"


def test_readers_of_other_modes_need_no_priming() -> None:
    assert not Projection(["values", "messages-tuple"], subgraphs=True).cumulative


def test_a_new_attempt_streams_its_messages_from_their_beginning() -> None:
    projection = Projection(["messages"], subgraphs=False)
    log = [
        event(1, "metadata", {"attempt": 1}),
        event(2, "messages", chunk("Hel")),
        event(1, "metadata", {"attempt": 2}, epoch=2),
        event(2, "messages", chunk("Hello"), epoch=2),
    ]
    frames = [frame for each in log for frame in projection.feed(each)]
    assert orjson.loads(frames[-1][1])[0]["content"] == "Hello"
    assert [name for name, _ in frames].count("messages/metadata") == 2
