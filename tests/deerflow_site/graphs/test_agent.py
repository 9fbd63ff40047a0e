from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from deerflow_site.graphs import agent
from deerflow_site.graphs.review import ACTION, HINT, NO_FEEDBACK, QUESTION

pytestmark = pytest.mark.asyncio

LEASES = "How do leases and heartbeats find a dead worker?"
SQLITE = "Why does SQLite say that the database is locked?"
APPROVE: Command[str] = Command(resume="approve")

Graph = CompiledStateGraph[Any, Any, Any, Any]
Parts = list[tuple[tuple[str, ...], str, Any]]


@pytest.fixture
def graph() -> Graph:
    # Strict: a type that the server would refuse to load from a checkpoint fails here too.
    saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
    return agent.graph.copy(update={"checkpointer": saver})


def on_thread(name: str = "thread") -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


def question(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def stream(graph: Graph, input: Any, *modes: Any, config: RunnableConfig | None = None) -> Parts:
    """All parts that a run streams in these modes, including subgraphs."""
    parts: Any = graph.astream(input, config or on_thread(), stream_mode=list(modes), subgraphs=True)
    return [part async for part in parts]


async def test_the_server_can_inject_its_checkpointer() -> None:
    assert agent.graph.checkpointer is None


async def test_its_input_has_a_schema_that_a_client_can_make_a_form_of() -> None:
    schema = agent.graph.get_input_jsonschema()
    assert {"messages", "question", "plan", "findings", "draft", "report"} <= set(schema["properties"])


async def test_a_run_stops_at_the_review_and_reports_once_the_draft_is_approved(graph: Graph) -> None:
    asked = await graph.ainvoke(question(LEASES), on_thread())
    (review,) = asked["__interrupt__"]
    [action] = review.value["action_requests"]
    assert (action["name"], action["description"]) == (ACTION, QUESTION)
    assert action["args"] == {"draft": asked["draft"], "about": LEASES, "revision": 1}
    [config] = review.value["review_configs"]
    assert config == {"action_name": ACTION, "allowed_decisions": ["approve", "edit", "reject"]}
    assert "[leases]" in asked["draft"]
    assert asked["report"] == ""

    done = await graph.ainvoke(Command(resume={review.id: {"decisions": [{"type": "approve"}]}}), on_thread())
    assert "__interrupt__" not in done
    assert done["report"].startswith(f"# {LEASES}")
    assert "## Sources\n\n- [leases] Leases and heartbeats" in done["report"]
    assert done["messages"][-1].type == "ai"
    assert done["messages"][-1].text == done["report"]
    assert {todo["status"] for todo in done["todos"]} == {"completed"}
    assert (await graph.aget_state(on_thread())).next == ()


@pytest.mark.parametrize(
    "answer", ["Approve", "yes!", True, {"action": "approve"}, {"decisions": [{"type": "approve"}]}]
)
async def test_each_form_of_approval_leads_to_the_report(graph: Graph, answer: Any) -> None:
    await graph.ainvoke(question(LEASES), on_thread())
    done = await graph.ainvoke(Command(resume=answer), on_thread())
    assert done["report"]


async def test_feedback_goes_into_a_new_draft_which_is_reviewed_again(graph: Graph) -> None:
    first = await graph.ainvoke(question(LEASES), on_thread())
    shorter = await graph.ainvoke(Command(resume="Make it shorter."), on_thread())
    assert shorter["__interrupt__"][0].value["action_requests"][0]["args"]["revision"] == 2
    assert shorter["__interrupt__"][0].id != first["__interrupt__"][0].id
    assert "Make it shorter." in shorter["draft"]
    assert shorter["draft"].count("\n- ") < first["draft"].count("\n- ")

    zombies = {"decisions": [{"type": "reject", "message": "Begin with the zombie."}]}
    third = await graph.ainvoke(Command(resume=zombies), on_thread())
    assert third["feedback"] == ["Make it shorter.", "Begin with the zombie."]
    assert third["draft"].count("\n- ") == shorter["draft"].count("\n- ")
    assert "[zombie-writer]" in third["draft"] and "[zombie-writer]" not in shorter["draft"]

    done = await graph.ainvoke(APPROVE, on_thread())
    assert "[zombie-writer]" in done["report"]
    assert [message.text for message in done["messages"] if message.type == "human"] == [
        LEASES,
        *third["feedback"],
    ]


async def test_an_edited_draft_is_what_is_reported(graph: Graph) -> None:
    asked = await graph.ainvoke(question(LEASES), on_thread())
    draft = f"{asked['draft']}\n- Added by hand. [leases]"
    answer = {"decisions": [{"type": "edit", "edited_action": {"name": ACTION, "args": {"draft": draft}}}]}
    done = await graph.ainvoke(Command(resume=answer), on_thread())
    assert done["draft"] == draft
    assert "Added by hand." in done["report"]


@pytest.mark.parametrize(
    ("answer", "hint"), [("", HINT), (None, HINT), (7, HINT), ({"action": "revise"}, NO_FEEDBACK)]
)
async def test_an_unclear_answer_is_asked_again_and_approves_nothing(
    graph: Graph, answer: Any, hint: str
) -> None:
    asked = await graph.ainvoke(question(LEASES), on_thread())
    (first,) = asked["__interrupt__"]
    (second,) = (await graph.ainvoke(Command(resume={first.id: answer}), on_thread()))["__interrupt__"]
    [action] = first.value["action_requests"]
    assert second.value == {**first.value, "action_requests": [{**action, "description": hint}]}
    assert second.id != first.id


async def test_three_researchers_run_as_parallel_subgraphs(graph: Graph) -> None:
    parts = await stream(graph, question(LEASES), "updates", "tasks")
    # A task's start has triggers, its result has none; all start before the first one ends.
    root = [data for namespace, mode, data in parts if mode == "tasks" and namespace == ()]
    research = ["start" if "triggers" in task else "end" for task in root if task["name"] == "research"]
    assert research == ["start"] * 3 + ["end"] * 3

    updates: dict[tuple[str, ...], list[str]] = {}
    for namespace, mode, data in parts:
        if mode == "updates" and namespace:
            updates.setdefault(namespace, []).extend(data)
    assert len(updates) == 3
    assert all(nodes == ["ask", "search", "summarise"] for nodes in updates.values())

    findings = (await graph.aget_state(on_thread())).values["findings"]
    assert [finding["number"] for finding in findings] == [1, 2, 3]
    kinds = [{source["id"] for source in finding["sources"]} for finding in findings]
    assert all(kinds) and not (kinds[0] & kinds[1] or kinds[1] & kinds[2] or kinds[0] & kinds[2])


async def test_one_search_fails_once_and_is_retried(graph: Graph) -> None:
    parts = await stream(graph, question(LEASES), "custom")
    searches = [(event["kind"], event["attempt"]) for _, _, event in parts if event["node"] == "search"]
    assert sorted(searches) == [("concepts", 1), ("failures", 1), ("failures", 2), ("practices", 1)]


async def test_progress_events_reach_the_custom_stream(graph: Graph) -> None:
    parts = [*await stream(graph, question(LEASES), "custom"), *await stream(graph, APPROVE, "custom")]
    assert all(event["type"] == "progress" and event["message"] for _, _, event in parts)
    counts = Counter(event["node"] for _, _, event in parts)
    assert counts == {"plan": 1, "ask": 3, "search": 4, "summarise": 3, "draft": 1, "review": 1, "report": 1}


async def test_tokens_stream_in_words_and_end_with_their_usage(graph: Graph) -> None:
    parts = await stream(graph, question(LEASES), "messages")
    streamed: dict[str, list[AIMessageChunk]] = {}
    nodes: dict[str, str] = {}
    for _, _, (message, metadata) in parts:
        if isinstance(message, AIMessageChunk):
            streamed.setdefault(message.id or "", []).append(message)
            nodes[message.id or ""] = metadata["langgraph_node"]
    assert Counter(nodes.values()) == {"plan": 1, "ask": 3, "summarise": 3, "draft": 1}
    for chunks in streamed.values():
        usages = [chunk.usage_metadata for chunk in chunks]
        assert len(chunks) > 5 and usages[-1] is not None and not any(usages[:-1])
        assert usages[-1]["output_tokens"] == len(chunks) - 1 and usages[-1]["input_tokens"] > 0

    state = (await graph.aget_state(on_thread())).values
    (drafted,) = (chunks for key, chunks in streamed.items() if nodes[key] == "draft")
    assert "".join(chunk.text for chunk in drafted) == state["draft"]
    assert drafted[0].id == state["messages"][-1].id


async def test_the_same_question_gives_the_same_report(graph: Graph) -> None:
    reports = []
    for thread in ("one", "two"):
        await graph.ainvoke(question(LEASES), on_thread(thread))
        reports.append((await graph.ainvoke(APPROVE, on_thread(thread)))["report"])
    assert reports[0] == reports[1]


async def test_concurrent_runs_do_not_influence_each_other(graph: Graph) -> None:
    async def run(text: str, thread: str) -> tuple[list[Any], str]:
        parts = await stream(graph, question(text), "custom", config=on_thread(thread))
        searches = [(event["kind"], event["attempt"]) for _, _, event in parts if event["node"] == "search"]
        return sorted(searches), (await graph.ainvoke(APPROVE, on_thread(thread)))["report"]

    alone = [await run(LEASES, "alone 0"), await run(SQLITE, "alone 1")]
    assert alone[0][1] != alone[1][1]
    together = await asyncio.gather(*(run((LEASES, SQLITE)[n % 2], f"together {n}") for n in range(6)))
    assert together == alone * 3


async def test_a_second_question_on_a_thread_starts_afresh(graph: Graph) -> None:
    await graph.ainvoke(question(LEASES), on_thread())
    await graph.ainvoke(Command(resume="Shorter!"), on_thread())
    await graph.ainvoke(APPROVE, on_thread())
    planned = await graph.ainvoke(question(SQLITE), on_thread(), interrupt_after=["plan"])
    assert planned["question"] == SQLITE
    assert planned["findings"] == [] and planned["draft"] == "" and planned["report"] == ""
    second = await graph.ainvoke(None, on_thread())
    assert second["feedback"] == [] and second["report"] == ""
    assert len(second["findings"]) == 3
    assert "[database-locked]" in second["draft"] and "[leases]" not in second["draft"]


@pytest.mark.parametrize(
    "input",
    [
        {},
        {"messages": []},
        question(""),
        question("  \n"),
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
    ],
)
async def test_without_a_question_the_agent_says_what_it_can_do(graph: Graph, input: Any) -> None:
    result = await graph.ainvoke(input, on_thread())
    assert result["messages"][-1].text == agent.GREETING
    assert (await graph.aget_state(on_thread())).next == ()


@pytest.mark.parametrize(
    "input",
    [{"messages": LEASES}, {"messages": [HumanMessage([{"type": "text", "text": LEASES}])]}],
    ids=["text", "content blocks"],
)
async def test_a_question_may_come_in_any_form_that_langgraph_accepts(graph: Graph, input: Any) -> None:
    assert (await graph.ainvoke(input, on_thread()))["question"] == LEASES


@pytest.mark.parametrize("text", ["hello", "什么是租约?", '“]}" </x> {', "word " * 5000], ids=range(4))
async def test_a_question_that_no_note_answers_still_gets_an_honest_report(graph: Graph, text: str) -> None:
    await graph.ainvoke(question(text), on_thread())
    done = await graph.ainvoke(APPROVE, on_thread())
    assert "The collection has no note that answers this question." in done["report"]


async def test_a_cancelled_run_goes_on_from_its_last_checkpoint(graph: Graph) -> None:
    whole = await graph.ainvoke(question(LEASES), on_thread("undisturbed"))

    async def run_until(node: str) -> None:
        async for event in graph.astream(
            question(LEASES), on_thread(), stream_mode="custom", durability="sync"
        ):
            if cast(dict[str, Any], event)["node"] == node:
                raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_until("draft")
    parts = await stream(graph, None, "updates")
    assert [list(data) for _, _, data in parts] == [["draft"], ["__interrupt__"]]
    resumed = (await graph.aget_state(on_thread())).values
    assert resumed["draft"] == whole["draft"] and resumed["findings"] == whole["findings"]


async def test_a_plan_without_enough_lines_is_completed_from_the_question() -> None:
    angles = agent.read_plan("Well:\n 1) Leases\nand that is all", question="Why?")
    assert [(angle["number"], angle["kind"], angle["text"]) for angle in angles] == [
        (1, "concepts", "Leases"),
        (2, "failures", "Failures: Why?"),
        (3, "practices", "Practices: Why?"),
    ]
