"""Builds a run from its request, its assistant and its thread; the result is fixed at admission."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from runs import graphs
from runs.conf import settings
from runs.encoding import encode
from runs.exceptions import InvalidRequest
from runs.lifecycle.interrupts import asked_at_checkpoint
from runs.models import Assistant, Run
from runs.models.run import DEFAULT_QUEUE
from runs.requests.answers import is_plain_answer
from runs.requests.run import RunRequest
from threads.db.ids import UserId, new_id
from threads.models import Thread
from threads.redaction import restored


def compose(
    request: RunRequest,
    assistant: Assistant,
    thread: Thread,
    *,
    user_id: UserId,
    now: datetime,
    edited: bool = False,
) -> Run:
    """Return the run for a request, not saved yet. Raises InvalidRequest.

    Args:
        edited: Whether the thread's state was edited since its last run.
    """
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
        kwargs=_kwargs(request, assistant, thread, edited=edited),
        multitask_strategy=request.multitask_strategy,
        queue=queue,
        priority=priority,
        temporary=request.temporary,
        created_at=now,
        updated_at=now,
        due_at=now + timedelta(seconds=request.after_seconds),
    )


def _place(assistant: Assistant) -> tuple[str, int]:
    """The queue and the priority of an assistant's runs. They are the graph's, fixed at admission."""
    try:
        registered = graphs.registration(assistant.graph_id)
    except graphs.GraphNotFound:
        # The execution reports that the graph is missing.
        return DEFAULT_QUEUE, 0
    return registered.queue, registered.priority


def _kwargs(request: RunRequest, assistant: Assistant, thread: Thread, *, edited: bool) -> dict[str, Any]:
    """What execution needs, fixed now: later changes of the assistant do not affect an admitted
    run.
    """
    inherited = {**assistant.config.get("configurable", {}), **thread.config.get("configurable", {})}
    configurable = {
        **inherited,
        **restored(request.config.get("configurable", {}), inherited),
        **request.headers,
        "graph_id": assistant.graph_id,
    }
    return {
        "input": request.input,
        "command": _bind(request.command, thread, checkpoint=request.checkpoint, edited=edited),
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


def taken_up(thread: Thread, request: RunRequest, assistant: Assistant) -> dict[str, Any]:
    """Update a thread for a new run with the graph and the configuration through which its state is
    read; return the changed columns.
    """
    changes: dict[str, Any] = {}
    names = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.id)}
    if not names.items() <= thread.metadata.items():
        changes["metadata"] = thread.metadata = {**thread.metadata, **names}
    given = restored(request.config, thread.config)
    config = kept_config(thread.config, given, most=settings.EDIT_LIMIT)
    if config != thread.config:
        changes["config"] = thread.config = config
    return changes


def kept_config(before: Mapping[str, Any], given: Mapping[str, Any], *, most: int) -> dict[str, Any]:
    """A thread's configuration, merged from those of its runs: the newest value of each name.

    Args:
        most: Largest size as JSON, 0 for no limit. Above it, only the newest run's configuration is
            kept.
    """
    names = {**(before.get("configurable") or {}), **(given.get("configurable") or {})}
    whole = {**before, **given, **({"configurable": names} if names else {})}
    return dict(given) if most and len(encode(whole).encode()) > most else whole


def _bind(
    command: dict[str, Any] | None, thread: Thread, *, checkpoint: Mapping[str, Any] | None, edited: bool
) -> dict[str, Any] | None:
    """Bind a plain answer to the interrupt that waits now, so that no later interrupt can receive
    it.

    A client sees an interrupt only once the thread has it: the events that show it are published
    together with the end of the run that asked.

    Args:
        checkpoint: The checkpoint from which the run continues, if it names one. A plain answer is for
            the interrupt there, if there is one only: a node beside it that is executed again might ask
            first.
        edited: Whether the run continues from an edit, instead of where the thread's last run
            stopped. Interrupts there have other ids than those that the thread shows, or none yet.
            The answer then stays plain, and LangGraph gives it to the first interrupt.
    """
    if command is None or not is_plain_answer(command):
        return command
    if checkpoint is not None:
        asked = asked_at_checkpoint(thread.id, checkpoint)
        return {**command, "resume": dict.fromkeys(asked, command["resume"])} if len(asked) == 1 else command
    if edited:
        return command
    waiting = [interrupt["id"] for asked in thread.interrupts.values() for interrupt in asked]
    if len(waiting) > 1:
        raise InvalidRequest(
            f"{len(waiting)} interrupts wait for an answer; resume with {{interrupt_id: answer}}."
        )
    return {**command, "resume": {waiting[0]: command["resume"]} if waiting else {}}
