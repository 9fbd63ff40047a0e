"""The requests of the scripted runs, and their right results. Pure: no server, no database."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STEPS = ("s0", "s1", "s2", "s3", "s4")
#: A step's position in its graph; steps of one superstep share the integer part.
STAGES: dict[str, dict[str, float]] = {
    "steps": {name: number for number, name in enumerate(STEPS)},
    "parallel": {"a": 0, "b1": 1, "b2": 1, "b3": 1, "c": 2},
    "nested": {"first": 0, "x": 1, "y": 1.5, "fan0": 2, "fan1": 2, "fan2": 2, "last": 3},
    "questions": {"before": 0, "ask1": 1, "middle": 2, "ask2": 3, "last": 4},
    "talking": {"think": 0, "talk": 1},
    "failing": {"before": 0, "boom": 1},
}
_TWICE = {"x": 1, "ask1": 1.2, "y": 1.4, "ask2": 1.6}
#: Of the graphs in `shaped_graphs`.
SHAPED: dict[str, dict[str, float]] = {
    "stopping": STAGES["steps"],
    "asking": {"before": 0, **_TWICE, "last": 2},
    "calling": {"before": 0, **_TWICE, "last": 2},
    "remembering": {"first": 0, "hear": 1, "wait": 1.3, "tell": 1.6, "last": 2},
    "heavy": {"a": 0, "b1": 1, "b2": 1, "b3": 1, "c": 2},
    "large": {"l0": 0, "l1": 1, "l2": 2},
}
GRAPHS = {
    **{f"chaos_{name}": f"tests.chaos.graphs:{name}" for name in STAGES},
    **{f"chaos_{name}": f"tests.chaos.shaped_graphs:{name}" for name in SHAPED},
}
STAGES |= SHAPED
MODES = {"talking": ["values", "messages-tuple"], "large": ["values", "updates", "custom"]}
DEFAULT_MODES = ["values", "updates"]


@dataclass(frozen=True)
class Order:
    """One requested run: a graph, the name of its work, and how to execute it."""

    graph: str
    tag: str
    delay: float
    tokens: int = 0
    durability: str = "async"
    subgraphs: bool = False
    #: The size of a `large` run's texts, in characters.
    size: int = 0

    def body(self, **more: Any) -> dict[str, Any]:
        """The request that creates it."""
        input: dict[str, Any] = {"tag": self.tag, "delay": self.delay}
        if self.graph == "talking":
            input |= {"tokens": self.tokens, "messages": [{"role": "user", "content": self.tag}]}
        if self.graph == "large":
            input["size"] = self.size
        return {
            "assistant_id": f"chaos_{self.graph}",
            "input": input,
            "durability": self.durability,
            "stream_mode": MODES.get(self.graph, DEFAULT_MODES),
            "stream_subgraphs": self.subgraphs,
            "if_not_exists": "create",
            **more,
        }


def text_of(order: Order) -> str:
    """What the model of a `talking` run says."""
    return "".join(f"w{number} " for number in range(order.tokens))


def bulk(tag: str, name: str, size: int) -> str:
    """The large text that a step returns."""
    line = f"{tag}/{name} "
    return (line * (size // len(line) + 1))[:size]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def work_of(tag: str, names: Sequence[str]) -> list[str]:
    return [f"{tag}/{name}" for name in names]


def is_right(order: Order, values: dict[str, Any]) -> bool:
    """Whether a thread's values are the right result of this run, alone on its thread."""
    match order.graph:
        case "steps":
            return values.get("log") == work_of(order.tag, STEPS)
        case "large":
            whole = values.get("text") == bulk(order.tag, "l2", order.size)
            return whole and values.get("log") == work_of(order.tag, ("l0", "l1", "l2"))
        case "parallel" | "heavy":
            return values.get("log") == work_of(order.tag, ("a", "b1", "b2", "b3", "c"))
        case "nested":
            log = work_of(order.tag, ("first", "fan0", "fan1", "fan2", "last"))
            return values.get("log") == log and values.get("inner") == work_of(order.tag, ("x", "y"))
        case "talking":
            said = [message["content"] for message in values.get("messages", ())]
            return said == [order.tag, text_of(order)]
        case "failing":
            return values.get("log") == work_of(order.tag, ("before",))
    raise ValueError(f"{order.graph} has no output of its own.")


def conversation(tag: str, answers: Sequence[str]) -> list[str]:
    """The log of a `questions` thread after so many answers."""
    parts = work_of(tag, ("before",))
    for number, answer in enumerate(answers, 1):
        parts += work_of(tag, (f"ask{number}={answer}", "middle" if number == 1 else "last"))
    return parts


def too_often(graph: str, executed: Sequence[tuple[int, str]], *, durability: str) -> list[str]:
    """Violations in the executions (attempt, step) of one run.

    A step executes at most once in an attempt, and again only in a later attempt after this one was
    cut off. Saved steps are never repeated: in `sync` these are all before the interrupted
    superstep, in `async` all before the previous superstep.
    """
    wrong: list[str] = []
    stages = STAGES[graph]
    for (attempt, name), count in Counter(executed).items():
        if count > 1:
            wrong.append(f"{name} was executed {count} times in attempt {attempt}")
    furthest = -1.0
    for attempt in sorted({attempt for attempt, _ in executed}):
        reached = [stages[name] for number, name in executed if number == attempt]
        earliest = furthest if durability == "sync" else int(furthest) - 1
        if min(reached) < earliest:
            wrong.append(f"attempt {attempt} began at stage {min(reached)} although {furthest} was reached")
        furthest = max(furthest, *reached)
    return wrong
