"""A graph whose steps wait until the machine lets them pass; its state records them."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

#: (run id, attempt) of an execution; after a takeover a run may have two concurrent ones.
Place = tuple[str, int]


class Gate:
    """The gate where the steps of one execution wait.

    `passed` are the steps that were let through.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.waiting: str | None = None
        self.passed: list[str] = []
        #: Let everything pass from now on.
        self.free = False
        self._changed = changed
        self._open = asyncio.Event()

    def open(self) -> None:
        self.waiting = None
        self._open.set()

    async def arrive(self, step: str) -> None:
        if not self.free:
            self.waiting = step
            self._changed()
            try:
                await self._open.wait()
            finally:
                self.waiting = None
                self._open.clear()
        self.passed.append(step)


gates: dict[Place, Gate] = {}


class State(TypedDict, total=False):
    #: The log, a word for each event: "in:r1" an input, "r1.0" a step, "r1.1=a2" an answer.
    log: Annotated[str, operator.add]
    #: The plan's token, the next step's number, and the remaining steps: s a step, a an interrupt, d two, f a
    #: failure.
    plan: str


def given(token: str, steps: str) -> dict[str, str]:
    """A run's input."""
    return {"log": f"in:{token} ", "plan": f"{token} 0 {steps}"}


async def work(state: State, config: RunnableConfig) -> dict[str, Any]:
    token, number, *left = state["plan"].split()
    action, rest = (left[0][0], left[0][1:]) if left else ("s", "")
    step = f"{token}.{number}"
    await gates[config["metadata"]["run_id"], config["metadata"]["run_attempt"]].arrive(step)
    match action:
        case "f":
            raise ValueError(f"{step} fails.")
        case "a":
            done = f"{step}={interrupt({'question': step})}"
        case "d":
            first = interrupt({"question": f"{step}first"})
            done = f"{step}first={first} {step}second={interrupt({'question': f'{step}second'})}"
        case _:
            done = step
    return {"log": f"{done} ", "plan": f"{token} {int(number) + 1} {rest}"}


def more(state: State) -> str:
    return "work" if len(state["plan"].split()) > 2 else END


def _life() -> Any:
    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_conditional_edges(START, more)
    builder.add_conditional_edges("work", more)
    return builder.compile()


life = _life()
