"""Executes a story on a player: plain LangGraph, or the runtime with an accident."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.crash_points.building import names
from tests.crash_points.specs import Case

#: A story that has not ended after this many runs of a turn loops.
RUNS = 24


#: Statuses of runs that were cancelled, or ran out of time.
STOPPED = ("interrupted", "timeout")


@dataclass(frozen=True)
class Shown:
    """A client's view after a run."""

    status: str
    thread: str
    values: Any
    #: {interrupt id: value}
    waiting: dict[str, str] = field(default_factory=dict)
    next: tuple[str, ...] = ()
    #: After a cancel or timeout: the newest checkpoint's values, without results of an unfinished step.
    committed: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped before its end."""
        return self.status in STOPPED

    @property
    def facts(self) -> tuple[Any, ...]:
        """The parts that do not depend on ids.

        A run that failed leaves no interrupts that its subgraphs have used the answers of; LangGraph shows them again.
        """
        waiting = () if self.status == "error" else tuple(sorted(self.waiting.values()))
        return self.status, self.thread, waiting, repr(self.values)

    @property
    def log(self) -> list[str]:
        return list((self.values or {}).get("log", ()))


class Player(Protocol):
    async def run(self, *, input: Any = None, command: Any = None, **fields: Any) -> Shown: ...

    async def edit(self, values: dict[str, Any], as_node: str | None) -> Shown | None: ...

    async def beginning(self) -> str: ...

    async def place(self, *, inside: bool) -> dict[str, Any]:
        """The address of the thread's current checkpoint, or of the innermost graph's."""
        ...

    async def asked(self, place: dict[str, Any]) -> dict[str, str]:
        """The interrupts at a checkpoint: {interrupt id: value}."""
        ...


@dataclass
class Told:
    shown: list[Shown] = field(default_factory=list)
    #: Answers that were repeated because their interrupt appeared again after the run was stopped.
    again: list[str] = field(default_factory=list)
    #: Of plain LangGraph: the values of all checkpoints.
    committed: set[str] = field(default_factory=set)


class Teller:
    """Executes one story; the next call depends on the results so far."""

    def __init__(self, case: Case, player: Player) -> None:
        self._case, self._player = case, player
        self._edited = self._stopped = False
        #: Where the first interrupt was shown.
        self._place: dict[str, Any] | None = None
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
            while shown.stopped and f"in{turn}" not in shown.log and not shown.next:
                # Stopped before any of its writes had landed.
                shown = self._note(await self._player.run(input=given, **breakpoints))
            await self._finish(shown)
        if story.fork:
            await self._fork()
        return self.told

    def _note(self, shown: Shown) -> Shown:
        self._stopped = self._stopped or shown.stopped
        self.told.shown.append(shown)
        return shown

    async def _fork(self) -> None:
        fields: dict[str, Any] = {"checkpoint": self._place}
        if self._case.story.fork == "start":
            fields = {"checkpoint": {"checkpoint_id": await self._player.beginning()}}
        elif self._place is None:
            return
        elif self._case.story.fork == "answer":
            fields["command"] = {"resume": await self._again(self._place)}
        shown = self._note(await self._player.run(**fields))
        while shown.stopped and not shown.next:
            shown = self._note(await self._player.run(**fields))
        await self._finish(shown)

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

    async def _again(self, place: dict[str, Any]) -> Any:
        """The answer to a checkpoint's interrupts: a plain one, if it is unambiguous."""
        asked = sorted((await self._player.asked(place)).items(), key=lambda item: item[1])
        key, question = asked[0]
        answer = f"to {question} again"
        return answer if len(asked) == 1 else {key: answer}

    async def _remember(self, shown: Shown) -> None:
        fork = self._case.story.fork
        if self._place is None and fork in ("answer", "inside") and len(shown.waiting) == 1:
            self._place = await self._player.place(inside=fork == "inside")

    async def _answer(self, shown: Shown) -> Shown:
        story = self._case.story
        await self._remember(shown)
        asked = sorted(shown.waiting.items(), key=lambda item: item[1])
        if story.edit and not self._edited and (len(asked) == 1 or story.edit != "plain"):
            self._edited = True
            if (edited := await self._edit(shown, asked[0][1])) is not None:
                return edited
        if story.answers == "plain" and len(asked) == 1:
            resume: Any = self._to(asked[0][1])
        else:
            resume = {key: self._to(value) for key, value in (asked if story.answers == "all" else asked[:1])}
        return await self._player.run(command={"resume": resume, **self._more(shown)})

    def _more(self, shown: Shown) -> dict[str, Any]:
        """Further parts of the first answer.

        A jump leaves a mark that shows whether it has landed.
        """
        story, mark = self._case.story, "updated" if self._case.story.update else "jumped"
        if not (story.update or story.goto) or mark in shown.log:
            return {}
        more: dict[str, Any] = {"update": {"log": [mark]}}
        if story.update:
            more["update"]["topic"] = "U"
        first = names(self._case.graph, (0,))[0]
        if story.goto:
            sent = {"node": first, "input": {"log": [], "topic": "sent"}}
            more["goto"] = first if story.goto == "node" else sent
        return more

    async def _edit(self, shown: Shown, question: str) -> Shown | None:
        """Edit the state, and continue as the story specifies.

        None if the graph cannot determine the node.
        """
        edit = self._case.story.edit
        values = {"log": ["edited"]} if edit == "node" else {"topic": "edited"}
        edited = await self._player.edit(values, shown.next[0] if edit == "node" else None)
        if edited is None or edit == "node" or not edited.next:
            return edited
        if edit == "none":
            return await self._player.run()
        return await self._player.run(command={"resume": self._to(question)})

    def _to(self, question: str) -> str:
        if self._stopped:
            self.told.again.append(question)
        return f"to {question}" + ("!" if self._stopped else "")
