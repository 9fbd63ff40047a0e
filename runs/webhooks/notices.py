"""Signals in the outbox of webhooks: a notice is a delivery to this site's own receivers."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from runs.conf import settings
from runs.encoding import decode, encode
from runs.models import Run, RunStatus, WebhookDelivery
from runs.process.current import ring
from runs.process.wakeups import WEBHOOKS
from runs.signals import BY_NAME
from runs.webhooks.outbox import Result
from threads.db import clock
from threads.db.database import Group, in_database
from threads.db.fields import Encoded
from threads.db.values.plain import class_name
from threads.disclosure import text_of

logger = logging.getLogger(__name__)

#: The scheme of a notice's URL, which no webhook can have, and what stands for its host.
SCHEME, HOST = "signal:", "signal"
#: Receivers have threads and connections of their own, because they may take long.
receivers = Group({"sqlite": 2, "postgresql": 4}, "signals")


def listened(name: str) -> bool:
    """Whether the site has a receiver for a signal."""
    return BY_NAME[name].has_listeners(Run)


def note(name: str, run: Run, *, status: str, now: datetime, error: dict[str, str] | None = None) -> None:
    """Put a signal into the outbox, in the present transaction, if the site has a receiver for it."""
    if not listened(name):
        return
    if run.get_deferred_fields():
        run = Run.objects.get(id=run.id)
    payload = {
        "run_id": run.id,
        "thread_id": run.thread_id,
        "user_id": run.user_id,
        "assistant_id": run.assistant_id,
        "status": status,
        "error": error,
        "metadata": run.metadata,
    }
    WebhookDelivery.objects.create(
        user_id=run.user_id,
        run_id=run.id,
        thread_id=run.thread_id,
        url=SCHEME + name,
        host=HOST,
        payload=Encoded(encode(payload)),
        due_at=now,
        created_at=now,
    )
    transaction.on_commit(lambda: ring(WEBHOOKS))


async def note_start(run: Run) -> None:
    """Put `run_started` into the outbox before the first attempt executes anything."""
    if listened("run_started"):
        await in_database(_note_start, run)


@transaction.atomic
def _note_start(run: Run) -> None:
    # An earlier attempt may have died before or after it wrote the notice.
    if not WebhookDelivery.objects.filter(run_id=run.id, url=f"{SCHEME}run_started").exists():
        note("run_started", run, status=RunStatus.RUNNING, now=clock.now())


def is_notice(delivery: WebhookDelivery) -> bool:
    return delivery.url.startswith(SCHEME)


async def send_signal(delivery: WebhookDelivery) -> Result:
    """Call the receivers of a notice. Raises nothing but CancelledError."""
    try:
        async with asyncio.timeout(settings.WEBHOOK_TIMEOUT):
            failed = await receivers.run(_send, delivery)
    except TimeoutError:
        return Result(error=f"The receivers did not return within {settings.WEBHOOK_TIMEOUT:g} s.")
    return Result(error=failed)


def _send(delivery: WebhookDelivery) -> str | None:
    """Call the receivers; return the error of the first one that raised."""
    payload: Any = delivery.payload
    payload = payload if isinstance(payload, dict) else decode(payload)
    ids = {name: UUID(payload[name]) for name in ("run_id", "thread_id", "assistant_id")}
    found = BY_NAME[delivery.url.removeprefix(SCHEME)].send_robust(
        sender=Run, **{**payload, **ids, "user_id": delivery.user_id, "notice_id": delivery.id}
    )
    errors = [answer for _, answer in found if isinstance(answer, Exception)]
    for error in errors:
        # Django's own log of it goes nowhere by default, unless DEBUG is on.
        logger.warning("A receiver of %s failed.", delivery.url.removeprefix(SCHEME), exc_info=error)
    return f"{class_name(type(errors[0]))}: {text_of(errors[0])}"[:1000] if errors else None
