"""Everything that is a user's, as lines of JSON: for the user, or before a deletion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from runs.encoding import decode, encode
from runs.models import ApiKey, Assistant, Cron, Run, SavedView, WebhookDelivery
from runs.serializers import assistant_json, run_json
from threads.db.namespaces import decode as decode_namespace
from threads.models import StoreItem, Thread
from threads.redaction import redacted

#: The version of the form.
SCHEMA = 1
#: How many rows are in memory at once.
PAGE = 200


def exported_user(user: Any) -> Iterator[str]:
    """The lines of a user's file: the user first, then each row with its `kind`. Secrets are left out."""
    yield _line(
        "user",
        {
            "schema": SCHEMA,
            "username": user.get_username(),
            "email": getattr(user, user.get_email_field_name(), ""),
            "date_joined": getattr(user, "date_joined", None),
            "last_login": user.last_login,
        },
    )
    kinds: dict[str, tuple[Any, Callable[[Any], dict[str, Any]]]] = {
        "thread": (Thread, _thread),
        "run": (Run, lambda run: {**run_json(run), "error": run.error}),
        "store_item": (StoreItem, _item),
        "assistant": (Assistant, assistant_json),
        "cron": (Cron, _cron),
        "webhook": (WebhookDelivery, _webhook),
        "api_key": (ApiKey, _key),
        "saved_view": (SavedView, _view),
    }
    for kind, (model, shown) in kinds.items():
        rows = model.objects.filter(user=user.pk).order_by("pk")
        for row in rows.iterator(chunk_size=PAGE):
            yield _line(kind, shown(row))


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "thread_id": thread.id, "status": thread.status, "metadata": thread.metadata, "values": thread.values,
        "config": redacted(thread.config), "interrupts": thread.interrupts, "created_at": thread.created_at,
        "updated_at": thread.updated_at,
    }  # fmt: skip


def _item(item: StoreItem) -> dict[str, Any]:
    return {
        "namespace": list(decode_namespace(item.namespace)), "key": item.key, "value": item.value,
        "created_at": item.created_at, "updated_at": item.updated_at,
    }  # fmt: skip


def _cron(cron: Cron) -> dict[str, Any]:
    return {
        "cron_id": cron.id, "schedule": cron.schedule, "timezone": cron.timezone, "enabled": cron.enabled,
        "payload": redacted(cron.payload), "metadata": cron.metadata, "created_at": cron.created_at,
    }  # fmt: skip


def _webhook(delivery: WebhookDelivery) -> dict[str, Any]:
    return {"run_id": delivery.run_id, "thread_id": delivery.thread_id, "created_at": delivery.created_at}


def _key(key: ApiKey) -> dict[str, Any]:
    return {"prefix": key.prefix, "name": key.name, "scopes": key.scopes, "created_at": key.created_at}


def _view(view: SavedView) -> dict[str, Any]:
    return {"name": view.name, "query": view.query, "shared": view.shared, "created_at": view.created_at}


def _line(kind: str, values: dict[str, Any]) -> str:
    plain = decode(encode(values))
    return json.dumps({"kind": kind, **plain}, ensure_ascii=False, default=_text)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
