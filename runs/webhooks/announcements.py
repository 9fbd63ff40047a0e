"""Adding a webhook to the outbox, in the transaction that ends the run."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from runs.conf import settings
from runs.encoding import decode, encode
from runs.models import Run, WebhookDelivery
from runs.process.current import ring
from runs.process.wakeups import WEBHOOKS
from runs.serializers import run_json
from runs.webhooks.policy import current_policy
from runs.webhooks.targets import host_of, parse_url
from threads.api.wire import timestamp
from threads.db.fields import Encoded
from threads.models import Thread


def announce(
    run: Run,
    *,
    status: str,
    now: datetime,
    error: dict[str, str] | None = None,
    values: Encoded | None = None,
) -> None:
    """Put a run's end into the outbox, if the run has a webhook.

    Args:
        run: The run before its end.
        error: The error as clients may read it.
        values: The run's final state; None for the values of its thread's row.
    """
    url = run.kwargs.get("webhook")
    if not url or not settings.WEBHOOKS:
        return
    if run.get_deferred_fields():
        run = Run.objects.get(id=run.id)
    try:
        host = host_of(parse_url(url, current_policy()))
    except ValueError:
        # The delivery will report the error. The run's end must not fail because of a webhook or a wrong
        # setting.
        host = ""
    if values is None:
        left = Thread.objects.filter(id=run.thread_id).values_list("values", flat=True).first()
    else:
        left = decode(values)
    payload = {
        **run_json(run),
        "status": status,
        "updated_at": timestamp(now),
        "run_started_at": timestamp(run.started_at) if run.started_at else None,
        "run_ended_at": timestamp(now),
        "values": left,
        "error": error,
    }
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
