"""Adding a webhook to the outbox, in the transaction that ends the run."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from runs.conf import settings
from runs.encoding import decode, encode
from runs.models import Run, WebhookDelivery
from runs.process.current import ring
from runs.process.wakeups import WEBHOOKS
from runs.serializers import run_json
from runs.webhooks.notices import listened, note
from runs.webhooks.policy import current_policy
from runs.webhooks.targets import host_of, parse_url
from threads.api.wire import timestamp
from threads.db.errors import is_passing
from threads.db.fields import Encoded
from threads.models import Thread

logger = logging.getLogger(__name__)


def announce(
    run: Run,
    *,
    status: str,
    now: datetime,
    error: dict[str, str] | None = None,
    values: Encoded | None = None,
    waits: bool = False,
) -> None:
    """Put a run's end into the outbox: its webhook, if it has one, and its signal.

    Args:
        run: The run before its end.
        error: The error as clients may read it.
        values: The run's final state; None for the values of its thread's row.
        waits: Whether the run has stopped to wait for a person.
    """
    name = "run_interrupted" if waits else "run_finished"
    url = run.kwargs.get("webhook") if settings.WEBHOOKS else None
    if not url and not listened(name):
        return
    try:
        # A savepoint: the run's end must not fail because it cannot be announced.
        with transaction.atomic():
            note(name, run, status=status, now=now, error=error)
            if url:
                _add(run, url, status=status, now=now, error=error, values=values)
    except Exception as failed:
        if is_passing(failed):
            raise
        logger.exception("Run %s: its end could not be announced.", run.id)


def _add(
    run: Run, url: str, *, status: str, now: datetime, error: dict[str, str] | None, values: Encoded | None
) -> None:
    if run.get_deferred_fields():
        run = Run.objects.get(id=run.id)
    try:
        host = host_of(parse_url(url, current_policy()))
    except ValueError:
        # The delivery will report the error.
        host = ""
    if values is None:
        left = Thread.objects.filter(id=run.thread_id).values_list("values", flat=True).first()
    else:
        left = decode(values)
    changed = {"status": status, "updated_at": timestamp(now), "run_ended_at": timestamp(now)}
    began = timestamp(run.started_at) if run.started_at else None
    payload = {**run_json(run), **changed, "run_started_at": began, "values": left, "error": error}
    WebhookDelivery.objects.create(
        user_id=run.user_id,
        run_id=run.id,
        thread_id=run.thread_id,
        url=url,
        host=host[:300],
        payload=Encoded(encode(payload)),
        due_at=now,
        created_at=now,
    )
    transaction.on_commit(wake)


def wake() -> None:
    """Wake this process's deliverer."""
    ring(WEBHOOKS)
