"""Runs and assistants as clients see them (wire protocol §1.1 and §2.1)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from runs.models import Assistant, AssistantVersion, Run
from threads.api.wire import timestamp
from threads.redaction import redacted


def _kwargs(run: Run) -> dict[str, Any]:
    durability = run.kwargs.get("durability")
    hidden = {name: redacted(run.kwargs[name]) for name in ("config", "context") if run.kwargs.get(name)}
    return {"webhook": None, **run.kwargs, **hidden, "checkpoint_during": durability != "exit"}


#: A field's name, the column that it needs, and its value.
RUN_FIELDS: dict[str, tuple[str, Callable[[Run], Any]]] = {
    "run_id": ("id", lambda run: str(run.id)),
    "thread_id": ("thread", lambda run: str(run.thread_id)),
    "assistant_id": ("assistant", lambda run: str(run.assistant_id)),
    "metadata": ("metadata", lambda run: run.metadata),
    "status": ("status", lambda run: run.status),
    "kwargs": ("kwargs", _kwargs),
    "multitask_strategy": ("multitask_strategy", lambda run: run.multitask_strategy),
    "created_at": ("created_at", lambda run: timestamp(run.created_at)),
    "updated_at": ("updated_at", lambda run: timestamp(run.updated_at)),
    "langsmith_session_name": ("id", lambda run: None),
}


def run_columns(select: Collection[str] | None = None) -> list[str]:
    """The columns that `run_json` needs, without the large ones that clients do not see."""
    return [column for name, (column, _) in RUN_FIELDS.items() if not select or name in select]


def run_json(run: Run, select: Collection[str] | None = None) -> dict[str, Any]:
    """A run, or the selected fields of it."""
    return {name: show(run) for name, (_, show) in RUN_FIELDS.items() if not select or name in select}


def assistant_json(assistant: Assistant, select: Collection[str] | None = None) -> dict[str, Any]:
    """An assistant, or the selected fields of it."""
    shown = {
        "assistant_id": str(assistant.id),
        "graph_id": assistant.graph_id,
        "config": redacted(assistant.config),
        "context": redacted(assistant.context),
        "metadata": assistant.metadata,
        "name": assistant.name,
        "created_at": timestamp(assistant.created_at),
        "updated_at": timestamp(assistant.updated_at),
        "version": assistant.version,
        "description": assistant.description,
    }
    return {name: value for name, value in shown.items() if not select or name in select}


def version_json(version: AssistantVersion) -> dict[str, Any]:
    """A version of an assistant."""
    return {
        "assistant_id": str(version.assistant_id),
        "version": version.version,
        "graph_id": version.graph_id,
        "config": redacted(version.config),
        "context": redacted(version.context),
        "metadata": version.metadata,
        "created_at": timestamp(version.created_at),
        "name": version.name,
        "description": version.description,
    }
