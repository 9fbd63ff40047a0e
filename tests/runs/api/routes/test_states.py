"""Threads' states over HTTP: read at a checkpoint, their history, and their edits."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError, ConflictError, NotFoundError

from runs.models import Run
from runs.states import edits
from tests.runs.api.routes.test_streams import new_thread, sleep, until
from tests.runs.api.routes.test_thread_stream import stream
from tests.support.rows import make_run
from threads.db.database import in_database
from threads.models import StateEdit, Thread

STEPS = [f"s{number}" for number in range(10)]


async def ran(sdk: LangGraphClient, graph: str = "steps", **fields: Any) -> str:
    """A thread on which a graph has run."""
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.wait(thread, graph, input={"log": []}, **fields)
    return thread


# --- reading


async def test_each_past_state_can_be_read_in_each_way(sdk: LangGraphClient) -> None:
    thread = await ran(sdk)
    history: list[Any] = await sdk.threads.get_history(thread, limit=100)
    assert [state["values"].get("log") for state in history[:-1]] == [STEPS[:n] for n in range(10, -1, -1)]
    assert history[0]["next"] == []
    assert [state["metadata"]["step"] for state in history] == list(range(10, -2, -1))
    past = history[3]
    by_id: Any = await sdk.threads.get_state(thread, checkpoint_id=past["checkpoint_id"])
    by_address: Any = await sdk.threads.get_state(thread, checkpoint=past["checkpoint"])
    assert by_id == by_address == past
    assert past["next"] == ["s7"]
    assert past["parent_checkpoint_id"] == history[4]["checkpoint_id"]


async def test_a_checkpoint_that_is_not_there_is_an_empty_state(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread, other, missing = await ran(sdk), await ran(sdk), str(uuid4())
    elsewhere: Any = await sdk.threads.get_state(other)
    for name in (missing, elsewhere["checkpoint_id"]):
        state = (await http.get(f"/threads/{thread}/state/{name}")).json()
        assert (state["values"], state["metadata"], state["checkpoint_id"]) == ({}, None, name)
    address = {"checkpoint": elsewhere["checkpoint"]}
    assert (await http.post(f"/threads/{thread}/state/checkpoint", json=address)).json()["values"] == {}
    for path, body in (
        (f"/threads/{thread}/state/x", None),
        (f"/threads/{thread}/state/checkpoint", {"checkpoint": {"checkpoint_id": "x"}}),
        (f"/threads/{thread}/state/checkpoint", {}),
    ):
        answer = await (http.post(path, json=body) if body is not None else http.get(path))
        assert answer.status_code == 422


async def test_history_can_be_narrowed(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    thread = await ran(sdk)
    every: list[Any] = await sdk.threads.get_history(thread, limit=100)
    before = every[3]["checkpoint_id"]
    forms: list[Any] = [
        before, {"checkpoint_id": before}, {"configurable": {"checkpoint_id": before}}, every[3]["checkpoint"],
    ]  # fmt: skip
    for form in forms:
        answer = await http.post(f"/threads/{thread}/history", json={"limit": 2, "before": form})
        assert answer.json() == every[4:6]
    text = json.dumps(forms[2])
    for form in (before, text):
        answer = await http.get(f"/threads/{thread}/history", params={"limit": 2, "before": form})
        assert answer.json() == every[4:6]
    assert (await http.get(f"/threads/{thread}/history")).json() == every[:10]
    found = await sdk.threads.get_history(thread, metadata={"source": "input"}, limit=100)
    assert found == every[-1:]
    found = await sdk.threads.get_history(thread, metadata={"step": 3, "parents": {}}, limit=100)
    assert [state["metadata"]["step"] for state in found] == [3]
    found = await sdk.threads.get_history(thread, metadata={"source": "loop"}, before=before, limit=2)
    assert found == every[4:6]
    assert await sdk.threads.get_history(thread, metadata={"it's": ["odd"]}) == []
    assert await sdk.threads.get_history(thread, before=str(UUID(int=4 << 76))) == []
    assert await sdk.threads.get_history(thread, before=str(UUID(int=2**128 - 1))) == every[:10]


async def test_a_history_that_makes_no_sense_is_refused(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    assert (await http.get(f"/threads/{thread}/history")).json() == []
    bodies: list[Any] = [
        {"limit": 0}, {"limit": 1001}, {"before": "x"}, {"before": {}}, {"before": 5}, {"before": {"configurable": 1}},
        {"before": "{"}, {"metadata": []}, {"select": ["bogus"]}, {"checkpoint": {"checkpoint_ns": 1}},
    ]  # fmt: skip
    for body in bodies:
        answer = await http.post(f"/threads/{thread}/history", json=body)
        assert (answer.status_code, body) == (422, body)
        assert len(answer.json()) == 1


async def test_subgraphs_have_states_and_histories_of_their_own(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.wait(thread, "questions", input={"log": []})
    await sdk.runs.wait(thread, "questions", command={"resume": "one"})
    await sdk.runs.wait(thread, "questions", command={"resume": "two"})
    state: Any = await sdk.threads.get_state(thread, subgraphs=True)
    [task] = state["tasks"]
    inner = task["state"]
    assert (task["name"], task["checkpoint"]) == ("call", None)
    assert inner["checkpoint"]["checkpoint_ns"].startswith("call:")
    assert inner["metadata"]["checkpoint_ns"] == inner["checkpoint"]["checkpoint_ns"]
    found: Any = await sdk.threads.get_state(thread, checkpoint=inner["checkpoint"])
    assert found["checkpoint_id"] == inner["checkpoint_id"]
    namespace: Any = {"checkpoint_ns": inner["checkpoint"]["checkpoint_ns"]}
    history: list[Any] = await sdk.threads.get_history(thread, checkpoint=namespace, limit=100)
    assert history[0]["checkpoint_id"] == inner["checkpoint_id"]
    assert {each["checkpoint"]["checkpoint_ns"] for each in history} == {namespace["checkpoint_ns"]}


async def test_fields_can_be_selected(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    thread = await ran(sdk)
    state: Any = await sdk.threads.get_state(thread)
    for select in (["next", "values"], ["next,values"]):
        chosen = (await http.get(f"/threads/{thread}/state", params={"select": select})).json()
        assert chosen == {"values": state["values"], "next": []}
    assert await sdk.threads.get_state(thread, select=["values.count"]) == {"values": {}}
    assert await sdk.threads.get_state(thread, select=["values.log"]) == {"values": {"log": STEPS}}
    found = await sdk.threads.get_history(thread, limit=2, select=["metadata"])
    assert [list(each) for each in found] == [["metadata"], ["metadata"]]
    assert (await http.get(f"/threads/{thread}/state?select=bogus")).status_code == 422


async def test_metadata_say_where_a_checkpoint_is_also_in_a_copy(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = await ran(sdk, "nested")
    copy = (await sdk.threads.copy(thread))["thread_id"]
    for each in (thread, copy):
        history: list[Any] = await sdk.threads.get_history(each, limit=100)
        assert {state["metadata"]["thread_id"] for state in history} == {each}
        assert not any("checkpoint_ns" in state["metadata"] for state in history)
        for metadata, found in ({"thread_id": each}, history), ({"thread_id": str(uuid4())}, []):
            assert await sdk.threads.get_history(each, limit=100, metadata=metadata) == found


@pytest.mark.parametrize("plain", [True, False])
async def test_what_a_run_in_flight_answers_is_not_asked(sdk: LangGraphClient, plain: bool) -> None:
    thread = await ran(sdk, "questions")
    before: Any = await sdk.threads.get_state(thread)
    [question] = before["interrupts"]
    for resume, asked in (
        ("yes" if plain else {question["id"]: "yes"}, []),
        ({"f" * 32: "yes"}, [question]),
    ):
        run = await sdk.runs.create(
            thread, "questions", command={"resume": resume}, after_seconds=60, multitask_strategy="enqueue"
        )
        state: Any = await sdk.threads.get_state(thread)
        assert state["interrupts"] == asked
        assert [task["interrupts"] for task in state["tasks"]] == [asked]
        assert state["next"] == before["next"]
        # A checkpoint's own metadata does not change.
        past: Any = await sdk.threads.get_state(thread, checkpoint_id=before["checkpoint_id"])
        assert past == before
        await sdk.runs.cancel(thread, run["run_id"], wait=True)
        assert await sdk.threads.get_state(thread) == before


async def test_a_run_that_has_not_begun_is_the_next_step(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    for log in ([], STEPS):
        run = await sdk.runs.create(thread, "steps", input={"log": []}, after_seconds=60)
        state: Any = await sdk.threads.get_state(thread)
        assert (state["next"], state["tasks"], state["values"].get("log", [])) == (["__start__"], [], log)
        if log:
            past: Any = await sdk.threads.get_state(thread, checkpoint_id=state["checkpoint_id"])
            assert past["next"] == []
        await sdk.runs.cancel(thread, run["run_id"], wait=True)
        await sdk.runs.wait(thread, "steps", input={"log": []})
        after: Any = await sdk.threads.get_state(thread)
        assert after["next"] == []


# --- editing


async def test_an_edit_is_the_threads_state_and_shows_on_the_thread(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = await ran(sdk)
    made: Any = await sdk.threads.update_state(thread, {"log": ["edited"]}, as_node="s4")
    assert made["configurable"] == made["checkpoint"]
    assert made["checkpoint"] == {
        "thread_id": thread, "checkpoint_ns": "", "checkpoint_id": made["checkpoint_id"],
    }  # fmt: skip
    state: Any = await sdk.threads.get_state(thread)
    assert (state["values"], state["next"]) == ({"log": [*STEPS, "edited"]}, ["s5"])
    assert (state["checkpoint_id"], state["metadata"]["source"]) == (made["checkpoint_id"], "update")
    assert state["metadata"]["graph_id"] == "steps"
    assert "run_id" not in state["metadata"]
    shown = await sdk.threads.get(thread)
    assert (shown["status"], shown["values"]) == ("interrupted", state["values"])
    done: Any = await sdk.runs.wait(thread, "steps", input=None)
    assert done["log"] == [*STEPS, "edited", *STEPS[5:]]
    assert (await sdk.threads.get(thread))["status"] == "idle"
    [update] = [data for name, data, _ in await updates(http, thread) if name == "state_update"]
    assert (update["thread_id"], update["state"]["checkpoint_id"]) == (thread, made["checkpoint_id"])


async def updates(http: httpx.AsyncClient, thread: str) -> list[Any]:
    return await stream(http, thread, ends=2, stream_modes=["state_update", "lifecycle"])


async def test_a_past_state_can_be_edited_and_gone_on_from(sdk: LangGraphClient) -> None:
    thread = await ran(sdk)
    history: list[Any] = await sdk.threads.get_history(thread, limit=100)
    past = history[6]
    assert past["values"]["log"] == STEPS[:4]
    by_address: Any = await sdk.threads.update_state(thread, {"log": ["x"]}, checkpoint=past["checkpoint"])
    state: Any = await sdk.threads.get_state(thread)
    assert (state["values"]["log"], state["next"]) == ([*STEPS[:4], "x"], ["s4"])
    assert state["parent_checkpoint_id"] == past["checkpoint_id"]
    assert state["checkpoint_id"] == by_address["checkpoint_id"]
    await sdk.threads.update_state(thread, {"log": ["y"]}, checkpoint_id=past["checkpoint_id"])
    assert (await sdk.threads.get_state(thread))["values"] == {"log": [*STEPS[:4], "y"]}
    copied: Any = await sdk.threads.update_state(thread, None, as_node="__copy__")
    assert (await sdk.threads.get_state(thread))["checkpoint_id"] == copied["checkpoint_id"]


async def test_a_question_can_be_put_away_by_an_edit(sdk: LangGraphClient) -> None:
    thread = await ran(sdk, "questions")
    assert (await sdk.threads.get(thread))["interrupts"]
    await sdk.threads.update_state(thread, None, as_node="__end__")
    shown = await sdk.threads.get(thread)
    assert (shown["status"], shown["interrupts"]) == ("idle", {})


async def test_an_edit_that_the_graph_does_not_take_changes_nothing(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread, bare = await ran(sdk), await new_thread(http)
    before = await sdk.threads.get_history(thread, limit=100)
    for body, status, detail in (
        ({"values": {"log": ["x"]}, "as_node": "nope"}, 400, "Node nope does not exist"),
        ({"values": [{"log": ["x"]}, {"log": ["y"]}], "as_node": "s1"}, 400, "Expected dict, got ["),
        ({"values": {"log": 5}, "as_node": "s1"}, 400, ""),
        (
            {"values": {"log": ["x"]}, "checkpoint_id": str(uuid4())},
            404,
            "The thread has no such checkpoint.",
        ),
        ({"values": {}, "checkpoint_id": "x"}, 422, "checkpoint_id: "),
        ({"values": {}, "checkpoint": {"checkpoint_ns": "nope:1"}}, 400, "Subgraph nope not found"),
    ):
        answer = await http.post(f"/threads/{thread}/state", json=body)
        assert (answer.status_code, body) == (status, body)
        assert answer.json()["detail"].startswith(detail)
    assert await sdk.threads.get_history(thread, limit=100) == before
    answer = await http.post(f"/threads/{bare}/state", json={"values": {}})
    assert answer.status_code == 400
    assert "has no assigned graph ID" in answer.json()["detail"]
    with pytest.raises(NotFoundError):
        await sdk.threads.update_state(str(uuid4()), {"log": []})


async def test_a_thread_with_a_run_in_flight_is_not_edited(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = await new_thread(http)
    run = (await http.post(f"/threads/{thread}/runs", json=sleep(30))).json()["run_id"]
    await until(http, f"/threads/{thread}/runs/{run}", "running")
    with pytest.raises(ConflictError, match=f"has in-flight runs: .*{run}"):
        await sdk.threads.update_state(thread, {"log": ["x"]}, as_node="sleep")
    await sdk.runs.cancel(thread, run, wait=True)
    await sdk.threads.update_state(thread, {"log": ["x"]}, as_node="sleep")


async def test_a_run_that_comes_while_an_edit_is_put_together_wins(
    sdk: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await ran(sdk)
    before: Any = await sdk.threads.get_state(thread)
    real = edits.prepare

    async def prepare(*args: Any, **kwargs: Any) -> Any:
        prepared = await real(*args, **kwargs)
        await in_database(admitted, thread)
        return prepared

    monkeypatch.setattr(edits, "prepare", prepare)
    with pytest.raises(ConflictError):
        await sdk.threads.update_state(thread, {"log": ["x"]}, as_node="s1")
    assert await sdk.threads.get_state(thread) == {**before, "next": ["__start__"]}
    assert await in_database(StateEdit.objects.count) == 0


def admitted(thread: str) -> Run:
    return make_run(thread=Thread.objects.get(id=thread), due_at="2100-01-01T00:00:00Z")


async def test_edits_at_once_all_happen_one_after_the_other(sdk: LangGraphClient) -> None:
    thread = await ran(sdk)
    names = [f"e{number}" for number in range(5)]
    await asyncio.gather(*(sdk.threads.update_state(thread, {"log": [name]}, as_node="s9") for name in names))
    state: Any = await sdk.threads.get_state(thread)
    assert sorted(state["values"]["log"][10:]) == names
    epochs = await in_database(
        lambda: list(StateEdit.objects.order_by("epoch").values_list("epoch", flat=True))
    )
    assert epochs == [2, 3, 4, 5, 6]


async def test_a_death_within_an_edit_leaves_nothing_of_it(
    sdk: LangGraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await ran(sdk)
    before: Any = await sdk.threads.get_history(thread, limit=100)
    shown = await sdk.threads.get(thread)

    def die(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the process died")

    with monkeypatch.context() as patch:
        patch.setattr(edits, "land", die)
        with pytest.raises(APIStatusError):
            await sdk.threads.update_state(thread, {"log": ["x"]}, as_node="s1")
    assert await sdk.threads.get_history(thread, limit=100) == before
    assert await sdk.threads.get(thread) == shown
    assert await in_database(StateEdit.objects.count) == 0
    await sdk.threads.update_state(thread, {"log": ["y"]}, as_node="s1")


async def test_metadata_are_added_to_the_present_checkpoint(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = await ran(sdk)
    before: Any = await sdk.threads.get_state(thread)
    body = {"metadata": {"mark": {"a": 1}, "run_id": "stolen", "step": 99}}
    answer = await http.patch(f"/threads/{thread}/state", json=body)
    assert (answer.status_code, answer.json()["checkpoint_id"]) == (200, before["checkpoint_id"])
    after: Any = await sdk.threads.get_state(thread)
    assert after == {**before, "metadata": {**before["metadata"], "mark": {"a": 1}}}
    found = await sdk.threads.get_history(thread, metadata={"mark": {"a": 1}})
    assert found[0]["checkpoint_id"] == before["checkpoint_id"]
    more: Any = {"log": ["more"]}
    done: Any = await sdk.runs.wait(thread, "steps", input=more)
    assert done["log"] == [*STEPS, "more", *STEPS]
    assert (await http.patch(f"/threads/{thread}/state", json={})).status_code == 422


async def test_somebody_elses_states_are_not_there(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = await ran(sdk)
    state: Any = await sdk.threads.get_state(thread)
    address = {"checkpoint": state["checkpoint"]}
    for method, path, body in (
        ("GET", "state", None), ("GET", f"state/{state['checkpoint_id']}", None), ("POST", "state/checkpoint", address),
        ("POST", "state", {"values": {"log": ["x"]}}), ("PATCH", "state", {"metadata": {"a": 1}}),
        ("GET", "history", None), ("POST", "history", {}), ("POST", "copy", None), ("GET", "storage", None),
        ("DELETE", "", None),
    ):  # fmt: skip
        answer = await stranger.request(method, f"/threads/{thread}/{path}".rstrip("/"), json=body)
        assert (answer.status_code, path) == (404, path)
    mine = (await stranger.post("/threads", json={"metadata": {"graph_id": "steps"}})).json()["thread_id"]
    answer = await stranger.post(f"/threads/{mine}/state/checkpoint", json=address)
    assert answer.json()["values"] == {}
    assert await sdk.threads.get_state(thread) == state
