"""A story, told to whatever plays it: plain LangGraph, or the runtime with an accident."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.crash_points.building import names
from tests.crash_points.specs import Case

#: A story that has not come to its end after so many runs of a turn goes round in circles.
RUNS = 14


@dataclass(frozen=True)
class Shown:
    """What a client sees after a run."""

    status: str
    thread: str
    values: Any
    #: {interrupt id: value}
    waiting: dict[str, str] = field(default_factory=dict)
    next: tuple[str, ...] = ()
    #: After a cancel: the values of the newest checkpoint, without the results of an unfinished step.
    committed: str | None = None

    @property
    def facts(self) -> tuple[Any, ...]:
        """What does not depend on ids."""
        return self.status, self.thread, tuple(sorted(self.waiting.values())), repr(self.values)

    @property
    def log(self) -> list[str]:
        return list((self.values or {}).get("log", ()))


class Player(Protocol):
    async def run(self, *, input: Any = None, command: Any = None, **fields: Any) -> Shown: ...

    async def edit(self, values: dict[str, Any]) -> Shown | None: ...

    async def beginning(self) -> str: ...


@dataclass
class Told:
    shown: list[Shown] = field(default_factory=list)
    #: Answers that were given a second time, because their interrupt was shown again after a cancel.
    again: list[str] = field(default_factory=list)
    #: Of plain LangGraph: the values of all checkpoints.
    committed: set[str] = field(default_factory=set)


class Teller:
    """Tells one story; what it does next depends on what it is shown."""

    def __init__(self, case: Case, player: Player) -> None:
        self._case, self._player = case, player
        self._edited = self._updated = self._cancelled = False
        self.told = Told()

    async def tell(self) -> Told:
        story = self._case.story
        breakpoints = {
            "interrupt_before": names(self._case.graph, story.before) or None,
            "interrupt_after": names(self._case.graph, story.after) or None,
        }
        for turn in range(story.turns):
            given = {"log": [f"in{turn}"], "topic": f"t{turn}"}
            shown = self._note(await self._player.run(input=given, **breakpoints))
            while shown.status == "interrupted" and f"in{turn}" not in shown.log and not shown.next:
                # Cancelled before anything of it had landed.
                shown = self._note(await self._player.run(input=given, **breakpoints))
            await self._finish(shown)
        if story.fork:
            checkpoint = {"checkpoint_id": await self._player.beginning()}
            await self._finish(self._note(await self._player.run(checkpoint=checkpoint)))
        return self.told

    def _note(self, shown: Shown) -> Shown:
        self._cancelled = self._cancelled or shown.status == "interrupted"
        self.told.shown.append(shown)
        return shown

    async def _finish(self, shown: Shown) -> None:
        for _ in range(RUNS):
            if shown.status == "error":
                return
            if shown.waiting:
                shown = self._note(await self._answer(shown))
            elif shown.next:
                shown = self._note(await self._player.run())
            else:
                return
        raise RuntimeError("The story does not come to its end.")

    async def _answer(self, shown: Shown) -> Shown:
        story = self._case.story
        if story.edit and not self._edited and len(shown.waiting) == 1:
            self._edited = True
            edited = await self._player.edit({"topic": "edited"})
            if edited is not None:
                plain = {"resume": "plain, after an edit"}
                return await self._player.run(command=plain) if edited.next else edited
        asked = sorted(shown.waiting.items(), key=lambda item: item[1])
        if story.answers == "plain" and len(asked) == 1:
            resume: Any = self._to(asked[0][1])
        else:
            resume = {key: self._to(value) for key, value in (asked if story.answers == "all" else asked[:1])}
        command: dict[str, Any] = {"resume": resume}
        if not self._updated:
            self._updated = True
            if story.update:
                command["update"] = {"log": ["updated"], "topic": "U"}
            if story.goto:
                command["goto"] = names(self._case.graph, (0,))[0]
        return await self._player.run(command=command)

    def _to(self, question: str) -> str:
        if self._cancelled:
            self.told.again.append(question)
        return f"to {question}" + ("!" if self._cancelled else "")
