"""A stored run as a request for another run. Pure: no queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from runs.encoding import decode
from runs.models import Run, RunStatus
from runs.protocols.agent.items import PACK, checkpoint
from runs.requests.run import RESERVED_METADATA, RunRequest


def request_of(run: Run) -> RunRequest:
    """The request that the run was created from, with the configuration that it had then.

    It has no delay and no webhook, and is refused while the thread is busy.
    """
    kwargs = run.kwargs
    config = dict(kwargs.get("config") or {})
    configurable = dict(config.get("configurable") or {})
    configurable.pop("graph_id", None)
    config["configurable"] = configurable
    return RunRequest(
        assistant_id=str(run.assistant_id),
        input=kwargs.get("input"),
        command=kwargs.get("command"),
        checkpoint=kwargs.get("checkpoint"),
        metadata={name: each for name, each in run.metadata.items() if name not in RESERVED_METADATA},
        config=config,
        context=dict(kwargs.get("context") or {}),
        interrupt_before=kwargs.get("interrupt_before"),
        interrupt_after=kwargs.get("interrupt_after"),
        stream_modes=list(kwargs.get("stream_mode") or ["values"]),
        stream_subgraphs=bool(kwargs.get("subgraphs")),
        stream_resumable=bool(kwargs.get("resumable")),
        multitask_strategy="reject",
        durability=str(kwargs.get("durability") or "async"),
        feedback_keys=kwargs.get("feedback_keys"),
    )


def beginning(run: Run, events: Iterable[tuple[str, str]], *, saved: Callable[[str], bool]) -> RunRequest:
    """The request for a run that repeats this one from where it began.

    A run's first checkpoint has its input in it, so the repetition continues from there, without a
    second copy of the input. A run that began with a command, as with an answer, repeats it at the
    checkpoint where it was given. A run that failed before it saved anything is requested again.

    Args:
        events: The first events of the run's log, as (name, JSON).
        saved: Whether a checkpoint is stored, by its id. The log is written beside the checkpoints, so that it
            may name one that could not be.
    """
    request = request_of(run)
    first = first_checkpoint(events)
    if first is None or (run.status != RunStatus.SUCCESS and not saved(first["id"])):
        return request
    at = {"checkpoint_id": first["id"]}
    if first["source"] == "input" or request.command is None:
        return replace(request, input=None, command=None, checkpoint=at)
    return replace(request, checkpoint=at)


def first_checkpoint(events: Iterable[tuple[str, str]]) -> dict[str, Any] | None:
    """The first checkpoint of the root graph in a run's log: its `id` and `source`."""
    for name, data in events:
        if name == PACK:
            for mode, namespace, _, item in decode(data):
                if mode == "checkpoints" and not namespace:
                    return dict(item)
        elif name == "checkpoints" and (found := checkpoint(decode(data))) is not None:
            return found
    return None
