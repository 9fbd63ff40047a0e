"""What a run is made of: its request, its assistant and its thread, fixed when it is admitted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from runs import graphs
from runs.exceptions import InvalidRequest
from runs.models import DEFAULT_QUEUE, Assistant, Run
from runs.requests import RunRequest
from threads.ids import new_id
from threads.models import Thread
from threads.redaction import restored


def compose(request: RunRequest, assistant: Assistant, thread: Thread, *, user_id: int, now: datetime) -> Run:
    metadata = {
        **assistant.metadata,
        **thread.metadata,
        **request.metadata,
        "assistant_id": str(assistant.id),
    }
    queue, priority = _place(assistant)
    return Run(
        id=new_id(),
        thread_id=thread.id,
        assistant_id=assistant.id,
        user_id=user_id,
        metadata=metadata,
        kwargs=_kwargs(request, assistant, thread),
        multitask_strategy=request.multitask_strategy,
        queue=queue,
        priority=priority,
        temporary=request.temporary,
        created_at=now,
        updated_at=now,
        due_at=now + timedelta(seconds=request.after_seconds),
    )


def _place(assistant: Assistant) -> tuple[str, int]:
    """The queue and the priority of an assistant's runs: its graph's, fixed at admission."""
    try:
        registered = graphs.registration(assistant.graph_id)
    except graphs.GraphNotFound:
        # Its execution will say so.
        return DEFAULT_QUEUE, 0
    return registered.queue, registered.priority


def _kwargs(request: RunRequest, assistant: Assistant, thread: Thread) -> dict[str, Any]:
    """What execution needs, fixed now: later changes of the assistant do not reach an accepted run."""
    inherited = {**assistant.config.get("configurable", {}), **thread.config.get("configurable", {})}
    configurable = {
        **inherited,
        **restored(request.config.get("configurable", {}), inherited),
        "graph_id": assistant.graph_id,
    }
    return {
        "input": request.input,
        "command": _bind(request.command, thread),
        "checkpoint": request.checkpoint,
        "config": {**assistant.config, **request.config, "configurable": configurable},
        "context": {**assistant.context, **restored(request.context, assistant.context)},
        "stream_mode": request.stream_modes,
        "subgraphs": request.stream_subgraphs,
        "resumable": request.stream_resumable,
        "interrupt_before": request.interrupt_before,
        "interrupt_after": request.interrupt_after,
        "durability": request.durability,
        "feedback_keys": request.feedback_keys,
        "webhook": request.webhook,
        "temporary": request.temporary,
    }


def _bind(command: dict[str, Any] | None, thread: Thread) -> dict[str, Any] | None:
    """Bind a plain answer to the question that waits now, so that it can reach no later one.

    A client has seen a question only when the thread has it: the events that show one are published together with
    the end of the run that asked.
    """
    if not command or command.get("resume") is None:
        return command
    answer = command["resume"]
    questions = [question["id"] for asked in thread.interrupts.values() for question in asked]
    if isinstance(answer, dict) and answer and all(is_interrupt_id(key) for key in answer):
        return command
    if len(questions) > 1:
        raise InvalidRequest(
            f"{len(questions)} questions wait for an answer; resume with {{interrupt_id: answer}}."
        )
    return {**command, "resume": {questions[0]: answer} if questions else {}}


def is_interrupt_id(key: object) -> bool:
    """Whether a key has the form of LangGraph's interrupt ids, 32 hexadecimal digits."""
    return isinstance(key, str) and len(key) == 32 and all(digit in "0123456789abcdef" for digit in key)
