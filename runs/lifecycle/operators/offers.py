"""Which actions a person can take on a run now, and why not the others. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from runs.models.querysets import IN_FLIGHT, PENDING, RUNNING, TERMINAL

ACTIONS = ("cancel", "roll_back", "answer", "retry", "fork", "requeue", "priority")


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about the actions on a run."""

    status: str
    cancel_requested: bool = False
    requeue_requested: bool = False
    #: Whether questions that a run asked wait on its thread.
    asked: bool = False
    #: The run of its thread that asked them, if it is another one.
    asked_by: str = ""
    #: Whether a run of its thread, perhaps another one, is pending or running.
    thread_busy: bool = False
    #: Whether its thread was removed, as after a stateless run.
    thread_gone: bool = False
    #: Whether it is a copy of another site's run, without that site's checkpoints.
    imported: bool = False


def offers(standing: Standing) -> dict[str, str]:
    """For each action the reason why it cannot be taken; "" if it can."""
    status = standing.status
    in_flight = status in IN_FLIGHT
    cancel = "" if in_flight else f"the run has ended ({status})"
    if in_flight and standing.cancel_requested:
        cancel = "it is being cancelled"
    again = ""
    if status not in TERMINAL:
        again = f"the run is still {status}"
    elif standing.imported:
        again = "it is a copy from a file, without checkpoints"
    elif standing.thread_gone:
        again = "its thread was removed"
    elif standing.thread_busy:
        again = "another run of its thread is in flight"
    answer = again
    if not again and not standing.asked:
        answer = "no question waits for an answer"
    elif not again and standing.asked_by:
        # Its own assistant and configuration continue it, not those of this run.
        answer = f"the run {standing.asked_by} of its thread asked; answer it there"
    requeue = "" if status == RUNNING else f"only a running run can be requeued; this one is {status}"
    if not requeue and (standing.cancel_requested or standing.requeue_requested):
        requeue = "it is being stopped"
    priority = "" if status == PENDING else f"only a pending run has a place in a queue; this one is {status}"
    return {
        "cancel": cancel,
        "roll_back": cancel,
        "answer": answer,
        "retry": again,
        "fork": again,
        "requeue": requeue,
        "priority": priority,
    }
