"""The pages' queries. Each function runs in a database thread."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Min
from django.http import Http404

from runs.models import Run, RunEvent
from runs.protocols.agent.events import first_of
from threads.models import Thread
from threads.models.querysets import Principal
from threads.texts.content import text_of


def name_of(user_id: int) -> str:
    """A user's name on the page."""
    return str(get_user_model().objects.get(pk=user_id))


def may_inspect(user_id: int) -> bool:
    """Whether a user may open a run's page in the admin."""
    user: Any = get_user_model().objects.get(pk=user_id)
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


def plain_thread(thread_id: UUID, *, principal: Principal) -> dict[str, Any]:
    """A thread's title and messages, for a page without scripts. Raises Http404."""
    threads = Thread.objects.for_principal(principal).visible()
    thread = threads.only("values", "metadata").filter(id=thread_id).first()
    if thread is None:
        raise Http404
    values = thread.values if isinstance(thread.values, dict) else {}
    messages = values.get("messages")
    title = thread.metadata.get("title") or values.get("title") or "Thread"
    listed = messages if isinstance(messages, list) else []
    return {"title": str(title), "messages": [_message(each) for each in listed if isinstance(each, dict)]}


#: The names of message types on the page.
AUTHORS = {"human": "You", "ai": "Answer", "tool": "Tool", "system": "System"}


def _message(message: dict[str, Any]) -> dict[str, str]:
    kind = str(message.get("type", ""))
    return {"author": AUTHORS.get(kind, kind), "text": text_of(message.get("content"))}
