"""The conversations of clients about chains: one run, several on a thread, interrupts, cancels.

A conversation's number and the seed decide everything about it except the timing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from tests.chaos.api import Api, Unanswered
from tests.chaos.followers import follow
from tests.chaos.ledger import Creation, Story
from tests.chaos.shapes import Order, is_right, work_of

Script = Callable[[Api, Story, random.Random, str], Awaitable[None]]


def order(graph: str, tag: str, chance: random.Random, *, longest: float = 0.4) -> Order:
    return Order(
        graph,
        tag,
        delay=round(chance.uniform(0.02, longest), 3),
        tokens=chance.randint(10, 60),
        durability=chance.choice(("sync", "async", "async")),
        subgraphs=chance.random() < 0.5,
        size=chance.randint(150_000, 500_000),
    )


async def create(
    api: Api, story: Story, order: Order, *, more: dict[str, Any] | None = None, **known: Any
) -> Creation | None:
    """Create a run of a story; None when it was refused.

    Args:
        more: Further fields of its request.
        known: Known facts about the run: fields of `Creation`.
    """
    creation = Creation(order, story.thread_id, **known)
    story.acts.append(creation)
    return creation if await api.create(creation, **(more or {})) else None


async def see(api: Api, story: Story, order: Order, chance: random.Random, **options: Any) -> Creation:
    """Create a run like `create`, and wait for its end."""
    creation = await create(api, story, order, **options)
    assert creation is not None
    await watch(api, creation, chance)
    await api.ended(creation)
    return creation


async def watch(api: Api, creation: Creation, chance: random.Random) -> None:
    """Wait for a run's end in one of the ways that clients have."""
    way = chance.choice(("stream", "stream", "two streams", "join", "poll"))
    if way == "join":
        result = await api.join(creation)
        right = creation.order.graph == "failing" and "kaboom" in str(result.get("__error__"))
        ours = creation.order.graph in ALONE and not creation.cancelled and creation.adds is None
        if ours and not right and not is_right(creation.order, result):
            api.ledger.violations.append(
                f"join of run {creation.run_id} ({creation.order}) answered {result}"
            )
    elif way == "poll":
        await api.ended(creation)
    else:
        await asyncio.gather(*(follow(api, creation) for _ in range(2 if way == "two streams" else 1)))


ALONE = ("steps", "parallel", "nested", "talking", "failing", "heavy", "large")


def alone(graph: str) -> Script:
    """One run on a thread of its own."""

    async def script(api: Api, story: Story, chance: random.Random, tag: str) -> None:
        created = await create(api, story, order(graph, tag, chance))
        assert created is not None
        await watch(api, created, chance)

    return script


async def questions(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A run with two interrupts in sequence; each gets a unique answer."""
    wanted = order("questions", tag, chance)
    adds = {"log": work_of(tag, ("before",))}
    await see(api, story, wanted, chance, adds=adds, steps=("before", "ask1"), leaves="interrupted")
    for number, steps in ((1, ("ask1", "middle", "ask2")), (2, ("ask2", "last"))):
        answer = f"{tag}-answer{number}-{chance.randrange(10**6)}"
        said = f"ask{number}={answer}"
        await see(
            api, story, wanted, chance,
            label=answer,
            adds={"log": work_of(tag, (said, steps[1]))},
            steps=steps,
            leaves="interrupted" if number == 1 else "idle",
            more=await answering(api, story, wanted, number, answer, chance),
        )  # fmt: skip


async def answering(
    api: Api, story: Story, wanted: Order, number: int, answer: str, chance: random.Random
) -> dict[str, Any]:
    """The request that answers the waiting interrupt, by its id or without one."""
    question = await asked(api, story, wanted, number)
    return {"command": {"resume": {question: answer} if chance.random() < 0.5 else answer}, "input": None}


async def asked(api: Api, story: Story, wanted: Order, number: int) -> str:
    """The id of the only waiting interrupt, which must be the right one."""
    thread = (await api.get(f"/threads/{story.thread_id}")).json()
    questions = [each for asked in thread["interrupts"].values() for each in asked]
    expected = {"question": f"ask{number}", "tag": wanted.tag}
    if [each["value"] for each in questions] != [expected]:
        api.ledger.violations.append(
            f"Thread {story.thread_id} asks {questions} instead of {expected} (thread {thread['status']})"
        )
        raise Unanswered("no question")
    return str(questions[0]["id"])


async def cancelled(api: Api, story: Story, chance: random.Random, tag: str) -> None:
    """A run that is cancelled at any point, or finishes first."""
    created = await create(api, story, order("steps", tag, chance))
    assert created is not None
    watching = asyncio.create_task(watch(api, created, chance))
    try:
        await asyncio.sleep(chance.uniform(0, 1.2))
        action = chance.choice(("interrupt", "rollback"))
        await api.cancel(created, action=action, wait=chance.random() < 0.5)
        await watching
    finally:
        watching.cancel()


def crowd(strategy: str) -> Script:
    """Several runs that meet on one thread."""

    async def script(api: Api, story: Story, chance: random.Random, tag: str) -> None:
        story.strategy = strategy
        count = chance.randint(2, 5)
        orders = [order("steps", f"{tag}.{number}", chance, longest=0.2) for number in range(count)]
        pauses = [chance.uniform(0, 1.0) for _ in orders]
        dice = [random.Random(chance.random()) for _ in orders]

        async def one(wanted: Order, pause: float, die: random.Random) -> None:
            await asyncio.sleep(pause)
            created = await create(api, story, wanted, more={"multitask_strategy": strategy})
            if created is not None:
                await watch_one_of_many(api, created, die)

        ends = await asyncio.gather(*map(one, orders, pauses, dice), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    return script


async def watch_one_of_many(api: Api, creation: Creation, chance: random.Random) -> None:
    """Like `watch`; the result is the thread's, of which this run is only a part."""
    if chance.random() < 0.5:
        await follow(api, creation)
    else:
        await api.ended(creation)


#: (kind, how often, the script)
SCRIPTS: list[tuple[str, int, Script]] = [
    ("steps", 16, alone("steps")),
    ("parallel", 14, alone("parallel")),
    ("nested", 14, alone("nested")),
    ("talking", 14, alone("talking")),
    ("failing", 4, alone("failing")),
    ("questions", 12, questions),
    ("cancelled", 12, cancelled),
    *((f"crowd {name}", 4, crowd(name)) for name in ("enqueue", "reject", "interrupt", "rollback")),
]
