"""`agents chat`: talk to an agent in a terminal. It streams, and asks the agent's questions."""

from __future__ import annotations

import asyncio
import logging
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from runs import graphs
from runs.conf import settings
from runs.identity.local import local_user_id
from runs.identity.principals import Principal
from runs.management.agents.chat_answers import answer_to, question_lines
from runs.management.agents.parsing import by_id, by_username, verb
from runs.management.agents.printing.event_lines import message_text
from runs.management.agents.printing.output import Output
from runs.models import Run, Worker
from runs.process.current import Runtime
from runs.process.executor_lock import sole_executor
from runs.requests.run import RunRequest
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import UserId
from threads.models import Thread

#: What ends the conversation.
LEAVE = frozenset({"/quit", "/exit", "/q"})


def add(nouns: Any) -> None:
    help = "Talk to an agent in this terminal."
    parser: CommandParser = verb(nouns.add_parser("chat", help=help, description=help), chat, as_json=False)
    parser.add_argument(
        "assistant", nargs="?", help="An assistant's id, or a graph's name (default: the first graph)."
    )
    parser.add_argument("--thread", metavar="ID", help="Go on with this thread.")
    parser.add_argument("--user", metavar="NAME", help="Talk as this user (default: the local user).")
    parser.add_argument("--once", metavar="TEXT", help="Say this, print the answer, and end.")


def chat(given: Namespace, out: Output) -> int:
    thread = by_id(Thread.objects.visible(), given.thread) if given.thread else None
    user_id = _user(given.user, thread)
    names = graphs.names()
    if not names:
        raise CommandError("No graph is registered: name one in RUNS['GRAPHS'].")
    known = thread.metadata.get("graph_id") if thread is not None else None
    assistant = given.assistant or known or names[0]
    executes = _nobody_executes()
    if executes:
        out.say("No worker runs, so this process executes the runs while you talk.")
    connections.close_all()
    talk = Talk(out, assistant=str(assistant), user_id=user_id, thread_id=thread.id if thread else None)
    # Not `asyncio.run`, because it would wait for the threads of abandoned nodes.
    loop = asyncio.new_event_loop()
    logging.disable(logging.WARNING)  # The log would be in the middle of the conversation.
    try:
        return loop.run_until_complete(_opened(talk, given.once, execute=executes))
    finally:
        logging.disable(logging.NOTSET)
        loop.close()


def _user(name: str | None, thread: Thread | None) -> UserId:
    """The user who talks. Raises CommandError if the thread is another user's."""
    if name is None:
        if thread is not None:
            return cast(UserId, thread.user_id)
        if not settings.LOCAL_USER:
            raise CommandError("Say as whom you talk, with --user.", returncode=2)
        return local_user_id()
    user_id: UserId = by_username(name).pk
    if thread is not None and thread.user_id != user_id:
        raise CommandError("The thread is another user's.")
    return user_id


async def _opened(talk: Talk, once: str | None, *, execute: bool) -> int:
    # Not above: it imports the graphs' libraries, which take a second.
    from runs.worker.opening import open_runtime

    async with open_runtime(execute=execute) as runtime:
        return await talk.held(runtime, once)


def _nobody_executes() -> bool:
    """Whether no other process executes runs."""
    if connections["default"].vendor == "postgresql":
        return not Worker.objects.alive(clock.now()).filter(draining=False).exists()
    with sole_executor() as sole:
        return bool(sole)


class Talk:
    """A conversation on one thread."""

    def __init__(self, out: Output, *, assistant: str, user_id: UserId, thread_id: UUID | None) -> None:
        self._out = out
        self._assistant = assistant
        self._principal = Principal(user_id)
        self._thread_id = thread_id
        self._failed = False

    async def held(self, runtime: Runtime, once: str | None) -> int:
        """Talk until the person leaves; return the exit code."""
        if once is not None:
            await self._say(runtime, once)
            return 1 if self._failed else 0
        self._out.say(f"Talking to {self._assistant!r}. An empty line or /quit ends it.")
        while (text := (await _asked("you> ")).strip()) and text not in LEAVE:
            await self._say(runtime, text)
        if self._thread_id is not None:
            self._out.say(f"Go on later with: manage.py agents chat --thread {self._thread_id}")
        return 0

    async def _say(self, runtime: Runtime, text: str) -> None:
        """Say something, and answer what the agent asks, until it has ended."""
        request: dict[str, Any] = {"input": {"messages": [{"type": "human", "content": text}]}}
        while request:
            run = await self._run(runtime, request)
            request = await self._answers(run)

    async def _run(self, runtime: Runtime, request: dict[str, Any]) -> Run:
        # Not above: it imports the graphs' libraries, which take a second.
        from runs.lifecycle.admission import create_run

        wanted = RunRequest(
            assistant_id=self._assistant, stream_modes=["messages-tuple"], if_not_exists="create",
            on_completion="keep", **request,
        )  # fmt: skip
        run = await create_run(wanted, principal=self._principal, thread_id=self._thread_id)
        self._thread_id = run.thread_id
        written = ""
        async for piece in spoken(runtime, run.id):
            written += piece
            self._out.stdout.write(piece, ending="")
            self._out.stdout.flush()
        if written and not written.endswith("\n"):
            self._out.line()
        ended = await in_database(Run.objects.select_related("thread").get, id=run.id)
        if ended.status != "success":
            self._failed = True
            error = ended.error or {}
            self._out.say(
                f"The run ended as {ended.status}. {error.get('error', '')} {error.get('message', '')}".rstrip()
            )
        return ended

    async def _answers(self, run: Run) -> dict[str, Any]:
        """The request that answers the thread's questions; empty if there are none, or no terminal to ask in."""
        asked = [each for questions in run.thread.interrupts.values() for each in questions]
        if not asked or run.status != "success":
            return {}
        answers = {}
        for question in asked:
            for line in question_lines(question["value"]):
                self._out.line(line)
            if not sys.stdin.isatty():
                self._failed = True
                self._out.say("The agent waits for an answer, and nobody can be asked here.")
                return {}
            answers[question["id"]] = await answer_to(question["value"], ask=_asked)
        return {"command": {"resume": answers}}


async def spoken(runtime: Runtime, run_id: UUID) -> AsyncIterator[str]:
    """What the agent says in a run, piece by piece; calls of tools on lines of their own."""
    # Not above: it imports the graphs' libraries, which take a second.
    from runs.encoding import decode
    from runs.events.table import START

    speaker = ""
    async for batch in runtime.hub.follow(run_id, START):
        for event in batch:
            if event.name.partition("|")[0] != "messages":
                continue
            message, _ = decode(event.data)
            kind = str(message.get("type", ""))
            if kind == "tool":
                yield f"\n  ← {message_text(message)[:200]}\n"
            elif kind.lower().startswith("ai"):
                if speaker and message.get("id") != speaker:
                    yield "\n"
                speaker = str(message.get("id") or speaker)
                yield message_text(message)


async def _asked(prompt: str) -> str:
    """What the person types; "" at the end of the input."""
    try:
        return await asyncio.to_thread(input, prompt)
    except EOFError:
        return ""
