"""The pages' queries. Each function runs in a database thread."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Min, Q
from django.http import Http404

from runs.models import Run, RunEvent
from runs.pages import plain_text
from runs.protocols.agent.events import first_of
from threads.db.ids import UserId
from threads.models import Thread
from threads.models.querysets import Principal
from threads.models.thread import ThreadStatus
from threads.texts.content import called, text_of


def name_of(user_id: UserId) -> str:
    """A user's name on the page."""
    return str(get_user_model()._default_manager.get(pk=user_id))


def may_inspect(user_id: UserId) -> bool:
    """Whether a user may open a run's page in the admin."""
    user: Any = get_user_model()._default_manager.get(pk=user_id)
    return bool(user.is_active and user.is_staff and user.has_perm("runs.view_run"))


def position_of(thread_id: UUID, *, runs: int, principal: Principal) -> int:
    """The event number after which a thread's last `runs` runs begin; 0 for all runs.

    A page shows older runs from the thread's state, because replaying a long thread would take too
    long.
    """
    owned = Run.objects.filter(thread__in=Thread.objects.for_principal(principal).visible(), thread=thread_id)
    begun = list(owned.filter(epoch__gt=0).order_by("-epoch").values_list("id", "epoch")[: runs + 1])
    if len(begun) <= runs:
        return 0
    run_id, epoch = begun[-2]
    # A run that was resumed after its process died has events of earlier epochs.
    first = RunEvent.objects.filter(run=run_id).aggregate(Min("epoch"))["epoch__min"]
    return first_of(first or epoch)


#: The most runs that a page is told at once, and the characters of a message by which it is recognised.
MOST_RUNS, SAID = 200, 200


def runs_of(thread_id: UUID, *, principal: Principal, before: UUID | None = None) -> dict[str, Any]:
    """A thread's last runs, newest first, with what a page needs for versions of messages.

    Args:
        before: Tell the runs before this one; an unknown one has none.

    Returns:
        `runs`, and whether there are `older` ones.

    A run of the chat page names in its metadata the message that it brought (`message_id`) and the
    run that it follows (`parent_run_id`). Of runs of other clients there is the id of their last
    message, if they gave one, or else the beginning of its text.
    """
    owned = Run.objects.filter(thread__in=Thread.objects.for_principal(principal).visible(), thread=thread_id)
    listed = owned.order_by("-created_at", "-id").only("id", "status", "metadata")
    if before is not None:
        last = owned.filter(id=before).values_list("created_at", flat=True).first()
        listed = (
            listed.filter(Q(created_at__lt=last) | Q(created_at=last, id__lt=before))
            if last
            else listed.none()
        )
    found = list(listed[: MOST_RUNS + 1])
    runs = found[:MOST_RUNS]
    others = [run.id for run in runs if not run.metadata.get("message_id")]
    requests = dict(owned.filter(id__in=others).values_list("id", "kwargs"))
    told = [
        {
            "run_id": str(run.id),
            "status": run.status,
            "parent": run.metadata.get("parent_run_id"),
            **_brought(run.metadata.get("message_id"), requests.get(run.id)),
        }
        for run in runs
    ]
    return {"runs": told, "older": len(found) > len(runs)}


def _brought(message_id: Any, request: dict[str, Any] | None) -> dict[str, Any]:
    """The message that a run brought: its id, or else how it begins."""
    if message_id:
        return {"message": message_id, "said": None}
    given = (request or {}).get("input")
    messages = given.get("messages") if isinstance(given, dict) else None
    last = messages[-1] if isinstance(messages, list) and messages else messages
    if isinstance(last, list | tuple) and len(last) == 2:
        last = {"content": last[1]}
    if isinstance(last, dict) and last.get("id"):
        return {"message": last["id"], "said": None}
    text = text_of(last.get("content") if isinstance(last, dict) else last)
    return {"message": None, "said": text[:SAID] or None}


def plain_thread(thread_id: UUID, *, principal: Principal) -> dict[str, Any]:
    """A thread's title, messages and open questions, for a page without scripts. Raises Http404."""
    threads = Thread.objects.for_principal(principal).visible()
    thread = threads.only("values", "metadata", "status", "interrupts").filter(id=thread_id).first()
    if thread is None:
        raise Http404
    waits = thread.status == ThreadStatus.INTERRUPTED
    return {
        "title": plain_text.clean(called(thread.values, thread.metadata)),
        "messages": plain_text.messages_of(thread.values),
        "questions": plain_text.questions_of(thread.interrupts) if waits else [],
    }
