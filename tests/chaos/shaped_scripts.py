"""Conversations on other shapes than chains: breakpoints, edits, forks, memory, deletions."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any

from tests.chaos.api import Api
from tests.chaos.ledger import Creation, Lists, Story
from tests.chaos.scripts import Script, alone, answering, asked, create, order, see, watch
from tests.chaos.shapes import STEPS, Order, work_of
from tests.chaos.states import delete, edit, past, stands


async def breakpoints(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A chain that stops at breakpoints of the run or the graph, and continues each time."""
    if chance.random() < 0.5:
        wanted, stops = order("stopping", tag, chance), [2, 4]
    else:
        wanted = order("steps", tag, chance)
        stops = sorted(chance.sample(range(1, len(STEPS)), chance.randint(1, 2)))
    for begin, end in pairwise([0, *stops, len(STEPS)]):
        await part(api, story, wanted, chance, begin, end)


async def part(
    api: Api,
    story: Story,
    wanted: Order,
    chance: random.Random,
    begin: int,
    end: int,
    *,
    base: Lists | None = None,
    at: dict[str, Any] | None = None,
) -> None:
    """Execute some of a chain's steps: up to a breakpoint, or its end.

    Args:
        base: The thread's log at that point, if not its end.
        at: The checkpoint to continue from, as the request names it.
    """
    more: dict[str, Any] = {**({"input": None} if begin else {}), **(at or {})}
    if wanted.graph == "steps" and end < len(STEPS):
        before = chance.random() < 0.5
        more |= {"interrupt_before": [STEPS[end]]} if before else {"interrupt_after": [STEPS[end - 1]]}
    await see(
        api, story, wanted, chance,
        label=f"{wanted.tag}+{len(story.acts)}",
        adds={"log": work_of(wanted.tag, STEPS[begin:end])},
        base=base,
        steps=STEPS[begin:end],
        leaves="interrupted" if end < len(STEPS) else "idle",
        more=more,
    )  # fmt: skip
    await stands(api, story, STEPS[end : end + 1])


async def edits(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A state that its user edits at a breakpoint, once or twice; the remaining steps follow."""
    wanted = order(chance.choice(("steps", "stopping")), tag, chance)
    stop = 2 if wanted.graph == "stopping" else chance.randint(1, 4)
    await part(api, story, wanted, chance, 0, stop)
    for number in range(chance.randint(1, 2)):
        await edit(api, story, f"{tag}/edit{number}")
        await stands(api, story, STEPS[stop : stop + 1])
    stops = [stop, 4] if wanted.graph == "stopping" else [stop]
    for begin, end in pairwise([*stops, len(STEPS)]):
        await part(api, story, wanted, chance, begin, end)


async def edited_questions(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A user edits the state while an interrupt waits: the next answer belongs to the interrupt."""
    wanted = order("questions", tag, chance)
    adds = {"log": work_of(tag, ("before",))}
    await see(api, story, wanted, chance, adds=adds, steps=("before", "ask1"), leaves="interrupted")
    await edit(api, story, f"{tag}/edit")
    answer = f"{tag}-answer1-{chance.randrange(10**6)}"
    await see(
        api, story, wanted, chance,
        label=answer,
        adds={"log": work_of(tag, (f"ask1={answer}", "middle"))},
        steps=("ask1", "middle", "ask2"),
        leaves="interrupted",
        more={"command": {"resume": answer}, "input": None},
    )  # fmt: skip


async def forks(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A finished chain is continued from one of its checkpoints, sometimes after an edit there."""
    wanted = order("steps", tag, chance, longest=0.2)
    await see(api, story, wanted, chance, adds={"log": work_of(tag, STEPS)})
    for _ in range(chance.randint(1, 2)):
        begin = chance.randrange(1, len(STEPS))
        checkpoint, log = await past(api, story, STEPS[begin], chance)
        forked(story, checkpoint)
        base = {"log": log}
        if chance.random() < 0.5:
            await edit(api, story, f"{tag}/edit{len(story.acts)}", base=base, checkpoint_id=checkpoint)
            await stands(api, story, STEPS[begin : begin + 1])
            await part(api, story, wanted, chance, begin, len(STEPS))
        else:
            at = {"checkpoint_id": checkpoint}
            await part(api, story, wanted, chance, begin, len(STEPS), base=base, at=at)


def forked(story: Story, checkpoint: str) -> None:
    story.forks[checkpoint] = story.forks.get(checkpoint, 0) + 1


async def other_answers(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """An interrupt is answered again at its old checkpoint: the new answer is used there."""
    wanted = order("questions", tag, chance, longest=0.2)
    log = work_of(tag, ("before",))
    await see(api, story, wanted, chance, adds={"log": log}, steps=("before", "ask1"), leaves="interrupted")
    checkpoint = ""
    for number in range(chance.randint(2, 3)):
        answer = f"{tag}-answer{number}-{chance.randrange(10**6)}"
        at = {"checkpoint_id": checkpoint} if checkpoint else {}
        if checkpoint:
            forked(story, checkpoint)
        await see(
            api, story, wanted, chance,
            label=answer,
            base={"log": log},
            adds={"log": work_of(tag, (f"ask1={answer}", "middle"))},
            steps=("ask1", "middle", "ask2"),
            leaves="interrupted",
            more={"command": {"resume": answer}, "input": None, **at},
        )  # fmt: skip
        await asked(api, story, wanted, 2)
        if not checkpoint:
            checkpoint, _ = await past(api, story, "ask1", chance)


def subgraph(graph: str) -> Script:
    """A subgraph with two interrupts in turn, as a node or called by one.

    Each has its own answer.
    """

    async def script(api: Api, story: Story, chance: random.Random, tag: str) -> None:
        wanted = order(graph, tag, chance)
        await see(
            api, story, wanted, chance,
            adds={"log": work_of(tag, ("before",))}, steps=("before", "x", "ask1"), leaves="interrupted",
        )  # fmt: skip
        answers = [f"{tag}-answer{number}-{chance.randrange(10**6)}" for number in (1, 2)]
        inner = ("x", f"ask1={answers[0]}", "y", f"ask2={answers[1]}")
        all_of_it = {"log": work_of(tag, ("last",)), "inner": work_of(tag, inner)}
        await see(
            api, story, wanted, chance,
            label=answers[0], adds={}, steps=("ask1", "y", "ask2"), leaves="interrupted",
            more=await answering(api, story, wanted, 1, answers[0], chance),
        )  # fmt: skip
        await see(
            api, story, wanted, chance,
            label=answers[1], adds=all_of_it, steps=("ask2", "last"),
            more=await answering(api, story, wanted, 2, answers[1], chance),
        )  # fmt: skip

    return script


async def turns(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """Turns of an agent with persistent memory; some wait in the queue for the previous one."""
    heard: list[str] = []
    waiting: list[asyncio.Task[None]] = []
    try:
        for number in range(chance.randint(2, 4)):
            wanted = order("remembering", f"{tag}.{number}", chance)
            heard.append(wanted.tag)
            adds = {
                "log": work_of(wanted.tag, ("first", "last")),
                "told": [f"{wanted.tag}:{','.join(heard)}"],
            }
            created = await create(api, story, wanted, adds=adds)
            assert created is not None
            waiting.append(asyncio.create_task(watch(api, created, chance)))
            if chance.random() < 0.7:
                await waiting[-1]
        await asyncio.gather(*waiting)
    finally:
        for task in waiting:
            task.cancel()


#: The graphs of deleted runs, and the steps that they execute until they end or stop.
DELETED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("steps", "parallel", "nested", "talking", "large", "heavy"), ()),
    "stopping": STEPS[:2],
    "asking": ("before", "x", "ask1"),
}


async def begun(api: Api, story: Story, chance: random.Random, graph: str, tag: str) -> Creation:
    """Create a run that will be deleted."""
    wanted = order(graph, tag, chance)
    created = await create(api, story, wanted, deleted=True, adds={}, steps=DELETED[graph])
    assert created is not None
    return created


async def deleted_thread(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A thread that is deleted with its pending, running or finished runs."""
    count = chance.randint(1, 3)
    graph = chance.choice(list(DELETED))
    runs = [await begun(api, story, chance, graph, f"{tag}.{number}") for number in range(count)]
    watching = [asyncio.create_task(watch(api, run, chance)) for run in runs]
    try:
        await asyncio.sleep(chance.uniform(0, 1.5))
        story.deletion = await delete(api, f"/threads/{story.thread_id}")
        await asyncio.gather(*watching)
    finally:
        for task in watching:
            task.cancel()


async def deleted_run(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A run that is deleted at any point.

    The thread's next run executes as if it had not existed.
    """
    first = await begun(api, story, chance, "steps", f"{tag}.0")
    watching = asyncio.create_task(watch(api, first, chance))
    try:
        await asyncio.sleep(chance.uniform(0, 1.2))
        await delete(api, f"/threads/{story.thread_id}/runs/{first.run_id}")
        await watching
    finally:
        watching.cancel()
    await see(api, story, order("steps", f"{tag}.1", chance), chance, adds={})


#: (kind, how often, the script)
SHAPED: list[tuple[str, int, Script]] = [
    ("breakpoints", 10, breakpoints),
    ("edits", 8, edits),
    ("edited questions", 5, edited_questions),
    ("forks", 9, forks),
    ("other answers", 6, other_answers),
    ("asking subgraph", 7, subgraph("asking")),
    ("called subgraph", 7, subgraph("calling")),
    ("turns", 8, turns),
    ("heavy", 6, alone("heavy")),
    ("large", 5, alone("large")),
    ("deleted thread", 7, deleted_thread),
    ("deleted run", 6, deleted_run),
]
