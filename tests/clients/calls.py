"""The test of each method of the Python SDK's clients: a table from method names to functions.

A function gets a client (`tests.clients.python.Both`), calls the methods, and checks the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.clients.python import Both

GRAPH = "obeying"
SLOW = "march 500 0.02"
YEARLY = "0 0 1 1 *"

CALLS: dict[str, Callable[[Both], None]] = {}


def covers(*names: str) -> Callable[[Callable[[Both], None]], Callable[[Both], None]]:
    """Register a function as the test of these methods."""

    def register(function: Callable[[Both], None]) -> Callable[[Both], None]:
        for name in names:
            assert name not in CALLS, f"{name} has an entry."
            CALLS[name] = function
        return function

    return register


def say(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def last(values: Any) -> str:
    return str(values["messages"][-1]["content"])


def new_thread(c: Both, **fields: Any) -> str:
    return str(c.threads.create(graph_id=GRAPH, **fields)["thread_id"])


def new_assistant(c: Both, **fields: Any) -> dict[str, Any]:
    return dict(c.assistants.create(GRAPH, **fields))


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end, "It did not happen."
        time.sleep(0.02)
    return found


# --- assistants


@covers("assistants.create", "assistants.get", "assistants.delete")
def an_assistant_comes_and_goes(c: Both) -> None:
    made = new_assistant(
        c, metadata={"by": "python"}, name="Kind", description="It is kind.", context={"a": 1}
    )
    assert (made["graph_id"], made["version"], made["name"]) == (GRAPH, 1, "Kind")
    assert c.assistants.get(made["assistant_id"]) == made
    with pytest.raises(ConflictError):
        new_assistant(c, assistant_id=made["assistant_id"])
    assert new_assistant(c, assistant_id=made["assistant_id"], if_exists="do_nothing")["name"] == "Kind"
    c.assistants.delete(made["assistant_id"])
    with pytest.raises(NotFoundError):
        c.assistants.get(made["assistant_id"])


@covers("assistants.update", "assistants.get_versions", "assistants.set_latest")
def an_assistant_has_versions(c: Both) -> None:
    assistant_id = new_assistant(c, name="one")["assistant_id"]
    assert c.assistants.update(assistant_id, name="two", metadata={"since": 2})["version"] == 2
    assert [each["version"] for each in c.assistants.get_versions(assistant_id)] == [2, 1]
    assert c.assistants.set_latest(assistant_id, 1)["name"] == "one"


@covers("assistants.search", "assistants.count")
def assistants_are_searched(c: Both) -> None:
    mark = {"mark": str(uuid4())}
    for name in ("b", "a"):
        new_assistant(c, metadata=mark, name=name)
    query = {"metadata": mark, "sort_by": "name", "sort_order": "asc"}
    assert [each["name"] for each in c.assistants.search(**query)] == ["a", "b"]
    page = c.assistants.search(**query, limit=1, response_format="object")
    assert (len(page["assistants"]), page["next"]) == (1, "1")
    assert c.assistants.search(**query, offset=1, select=["name"]) == [{"name": "b"}]
    assert c.assistants.count(metadata=mark, graph_id=GRAPH) == 2


@covers("assistants.get_graph", "assistants.get_schemas", "assistants.get_subgraphs")
def an_assistant_shows_its_graph(c: Both) -> None:
    assistant_id = new_assistant(c)["assistant_id"]
    nodes = {node["id"] for node in c.assistants.get_graph(assistant_id)["nodes"]}
    assert "team" in nodes
    assert "team:member" in {node["id"] for node in c.assistants.get_graph(assistant_id, xray=True)["nodes"]}
    assert "steps" in c.assistants.get_schemas(assistant_id)["state_schema"]["properties"]
    assert set(c.assistants.get_subgraphs(assistant_id, recurse=True)) == {"team", "firm", "firm|team"}
    assert set(c.assistants.get_subgraphs(assistant_id, namespace="team")) == {"team"}


# --- threads


@covers("threads.create", "threads.get", "threads.update", "threads.delete")
def a_thread_comes_and_goes(c: Both) -> None:
    thread_id = str(uuid4())
    new_thread(c, thread_id=thread_id, metadata={"topic": "x"}, ttl=60)
    with pytest.raises(ConflictError):
        new_thread(c, thread_id=thread_id)
    assert new_thread(c, thread_id=thread_id, if_exists="do_nothing") == thread_id
    assert c.threads.update(thread_id, metadata={"stars": 5}, ttl=90)["metadata"]["stars"] == 5
    assert c.threads.update(thread_id, metadata={}, return_minimal=True) is None
    found = c.threads.get(thread_id, include=["ttl"])
    assert found["metadata"] == {"topic": "x", "stars": 5, "graph_id": GRAPH}
    assert found["ttl"]["ttl_minutes"] == 90
    c.threads.delete(thread_id)
    with pytest.raises(NotFoundError):
        c.threads.get(thread_id)


@covers("threads.search", "threads.count")
def threads_are_searched(c: Both) -> None:
    mark = {"mark": str(uuid4())}
    made = [new_thread(c, metadata=mark) for _ in range(3)]
    c.runs.wait(made[0], GRAPH, input=say("ask"))
    query = {"metadata": mark, "sort_by": "created_at", "sort_order": "asc"}
    assert [each["thread_id"] for each in c.threads.search(**query)] == made
    assert [each["thread_id"] for each in c.threads.search(**query, limit=1, offset=2)] == made[2:]
    assert [each["thread_id"] for each in c.threads.search(ids=made[1:2])] == made[1:2]
    [found] = c.threads.search(**query, status="interrupted", select=["thread_id", "interrupts"])
    assert set(found) == {"thread_id", "interrupts"}
    [found] = c.threads.search(**query, limit=1, extract={"said": "values.messages[0].content"})
    assert found["extracted"] == {"said": "ask"}
    assert c.threads.count(metadata=mark) == 3
    assert c.threads.count(metadata=mark, status="idle") == 2


@covers("threads.get_state", "threads.update_state", "threads.get_history")
def a_thread_has_states(c: Both) -> None:
    thread_id = new_thread(c)
    c.runs.wait(thread_id, GRAPH, input=say("march 2"))
    newest, middle, *_ = c.threads.get_history(thread_id)
    assert c.threads.get_state(thread_id)["checkpoint"] == newest["checkpoint"]
    for place in (
        {"checkpoint": middle["checkpoint"]},
        {"checkpoint_id": middle["checkpoint"]["checkpoint_id"]},
    ):
        assert last(c.threads.get_state(thread_id, subgraphs=True, **place)["values"]) == "step 1"
    values = {"messages": [{"role": "assistant", "content": "mended"}]}
    changed = c.threads.update_state(thread_id, values, as_node="step", checkpoint=middle["checkpoint"])
    assert c.threads.get_state(thread_id)["checkpoint"] == changed["checkpoint"]
    older = c.threads.get_history(thread_id, limit=1, before={"configurable": newest["checkpoint"]})
    assert [each["checkpoint"] for each in older] == [middle["checkpoint"]]
    loops = c.threads.get_history(thread_id, metadata={"source": "update"})
    assert [last(each["values"]) for each in loops] == ["mended"]


@covers("threads.copy", "threads.prune")
def threads_are_copied_and_pruned(c: Both) -> None:
    thread_id = new_thread(c)
    c.runs.wait(thread_id, GRAPH, input=say("march 2"))
    copy = c.threads.copy(thread_id)["thread_id"]
    assert len(c.threads.get_history(copy)) == 4
    assert c.threads.prune([thread_id], strategy="keep_latest") == {"pruned_count": 1}
    assert len(c.threads.get_history(thread_id)) == 1
    assert c.threads.prune([thread_id, copy]) == {"pruned_count": 2}
    with pytest.raises(NotFoundError):
        c.threads.get(copy)


def turn(stream: Iterator[Any]) -> Iterator[Any]:
    """A thread's stream until its run is done."""
    for part in stream:
        yield part
        if part.event == "metadata" and part.data.get("status") == "run_done":
            return


@covers("threads.join_stream")
def a_thread_is_joined(c: Both) -> None:
    thread_id = new_thread(c)
    c.runs.wait(thread_id, GRAPH, input=say("talk 2"))
    parts = list(turn(c.threads.join_stream(thread_id, last_event_id="-")))
    assert {"values", "metadata"} <= {part.event for part in parts}
    ids = [part.id for part in parts]
    rest = turn(c.threads.join_stream(thread_id, last_event_id=ids[0], stream_mode="run_modes"))
    assert [part.id for part in rest] == ids[1:]


@covers("threads.stream")
def a_thread_is_streamed(c: Both) -> None:
    """Only opens the session object, which has tests of its own."""
    assert c.threads.stream(assistant_id=GRAPH).thread_id


# --- runs


@covers("runs.create", "runs.get", "runs.join", "runs.list", "runs.delete")
def a_run_comes_and_goes(c: Both) -> None:
    thread_id = new_thread(c)
    created: list[Any] = []
    run_id = c.runs.create(
        thread_id, GRAPH, input=say("talk 2"), metadata={"by": "python"}, on_run_created=created.append
    )["run_id"]
    assert created == [{"run_id": run_id, "thread_id": thread_id}]
    assert last(c.runs.join(thread_id, run_id)) == "w0 w1 "
    assert c.runs.get(thread_id, run_id)["status"] == "success"
    assert c.runs.list(thread_id, status="success", select=["run_id"]) == [{"run_id": run_id}]
    assert c.runs.list(thread_id, offset=1, limit=5) == []
    c.runs.delete(thread_id, run_id)
    with pytest.raises(NotFoundError):
        c.runs.get(thread_id, run_id)


@covers("runs.wait")
def a_run_is_waited_for(c: Both) -> None:
    thread_id = new_thread(c)
    assert "__interrupt__" in c.runs.wait(thread_id, GRAPH, input=say("ask"))
    assert last(c.runs.wait(thread_id, GRAPH, command={"resume": "no"})) == "You said no."
    assert last(c.runs.wait(None, GRAPH, input=say("talk 1"))) == "w0 "
    with pytest.raises(Exception, match="kaboom"):
        c.runs.wait(None, GRAPH, input=say("fail"))
    assert (
        c.runs.wait(None, GRAPH, input=say("fail"), raise_error=False)["__error__"]["error"] == "ValueError"
    )


@covers("runs.stream", "runs.join_stream")
def a_run_is_streamed(c: Both) -> None:
    thread_id = new_thread(c)
    created: list[Any] = []
    parts = list(
        c.runs.stream(
            thread_id,
            GRAPH,
            input=say("weather Bern"),
            stream_mode=["values", "messages-tuple"],
            stream_resumable=True,
            on_run_created=created.append,
        )
    )
    assert parts[0].event == "metadata"
    assert last(parts[-1].data) == "It is sunny in Bern."
    joined = c.runs.join_stream(thread_id, created[0]["run_id"], stream_mode="values", last_event_id="-1")
    values = [part.data for part in parts if part.event == "values"]
    assert [part.data for part in joined if part.event == "values"] == values


@covers("runs.create_batch")
def runs_are_created_together(c: Both) -> None:
    payload = {"assistant_id": GRAPH, "on_completion": "keep"}
    made = c.runs.create_batch([{**payload, "input": say(text)} for text in ("talk 1", "talk 2")])
    assert [last(c.runs.join(run["thread_id"], run["run_id"])) for run in made] == ["w0 ", "w0 w1 "]


@covers("runs.cancel", "runs.cancel_many")
def runs_are_cancelled(c: Both) -> None:
    thread_id = new_thread(c)
    made = [c.runs.create(thread_id, GRAPH, input=say(SLOW))["run_id"] for _ in range(4)]

    def status(place: int) -> Any:
        return c.runs.get(thread_id, made[place])["status"]

    until(lambda: status(0) == "running")
    c.runs.cancel_many(thread_id=thread_id, run_ids=made[2:3])
    assert status(2) == "interrupted"
    c.runs.cancel(thread_id, made[0], wait=True)
    assert status(0) == "interrupted"
    until(lambda: status(1) == "running")
    c.runs.cancel(thread_id, made[1], wait=True, action="rollback")
    with pytest.raises(NotFoundError):
        status(1)
    c.runs.cancel_many(status="all", action="interrupt")
    until(lambda: status(3) == "interrupted")


# --- crons


@covers(
    "crons.create", "crons.create_for_thread", "crons.search", "crons.count", "crons.update", "crons.delete"
)
def crons_come_and_go(c: Both) -> None:
    mark = {"mark": str(uuid4())}
    alone = c.crons.create(
        GRAPH, schedule=YEARLY, input=say("talk 1"), metadata=mark, timezone="Europe/Zurich"
    )
    thread_id = new_thread(c)
    other = c.crons.create_for_thread(thread_id, GRAPH, schedule=YEARLY, input=say("talk 1"), metadata=mark)
    query = {"metadata": mark, "sort_by": "created_at", "sort_order": "asc"}
    assert [each["cron_id"] for each in c.crons.search(**query)] == [alone["cron_id"], other["cron_id"]]
    assert [each["cron_id"] for each in c.crons.search(thread_id=thread_id)] == [other["cron_id"]]
    assert c.crons.search(**query, limit=1, offset=1, select=["thread_id"]) == [{"thread_id": thread_id}]
    changed = c.crons.update(alone["cron_id"], schedule="30 6 * * *", enabled=False)
    assert (changed["schedule"], changed["enabled"]) == ("30 6 * * *", False)
    assert c.crons.count(metadata=mark) == 2
    c.crons.delete(alone["cron_id"])
    c.crons.delete(other["cron_id"])
    assert c.crons.count(metadata=mark) == 0


# --- store


@covers(
    "store.put_item", "store.get_item", "store.search_items", "store.list_namespaces", "store.delete_item"
)
def items_come_and_go(c: Both) -> None:
    root = uuid4().hex
    c.store.put_item([root, "notes"], "a", {"stars": 3}, index=False, ttl=60)
    c.store.put_item([root, "notes"], "b", {"stars": 5})
    assert c.store.get_item([root, "notes"], "a", refresh_ttl=True)["value"] == {"stars": 3}
    found = c.store.search_items([root], filter={"stars": {"$gt": 3}}, limit=5, offset=0)
    assert [item["key"] for item in found["items"]] == ["b"]
    assert c.store.list_namespaces(prefix=[root])["namespaces"] == [[root, "notes"]]
    assert c.store.list_namespaces(prefix=[root], max_depth=1)["namespaces"] == [[root]]
    c.store.delete_item([root, "notes"], key="a")
    assert not c.store.get_item([root, "notes"], "a")


# --- how all of them send


@covers("http.get", "http.post", "http.patch", "http.delete")
def a_thread_by_its_path(c: Both) -> None:
    thread_id = c.http.post("/threads", json={"metadata": {"a": 1}})["thread_id"]
    assert c.http.patch(f"/threads/{thread_id}", json={"metadata": {"b": 2}})["metadata"] == {"a": 1, "b": 2}
    assert c.http.get(f"/threads/{thread_id}")["thread_id"] == thread_id
    c.http.delete(f"/threads/{thread_id}")
    with pytest.raises(NotFoundError):
        c.http.get(f"/threads/{thread_id}")


@covers("http.put")
def an_item_by_its_path(c: Both) -> None:
    c.http.put("/store/items", json={"namespace": ["http"], "key": "k", "value": {"a": 1}})
    assert c.http.get("/store/items", params={"namespace": "http", "key": "k"})["value"] == {"a": 1}


@covers("http.stream", "http.request_reconnect")
def a_run_by_its_path(c: Both) -> None:
    body = {"assistant_id": GRAPH, "input": say("talk 1"), "stream_mode": ["values"]}
    *_, end = c.http.stream("/runs/stream", "POST", json=body)
    assert last(end.data) == "w0 "
    assert last(c.http.request_reconnect("/runs/wait", "POST", json=body)) == "w0 "
