"""What a site's own code gives and gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict
from uuid import UUID

#: How long to wait for a locked thread, in seconds.
LOCK_TIMEOUT = 5.0


class Options(TypedDict, total=False):
    """Further properties of a run, as over HTTP (docs/openapi.json, `RunCreate`)."""

    command: dict[str, Any]
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    config: dict[str, Any]
    context: dict[str, Any]
    interrupt_before: list[str] | Literal["*"]
    interrupt_after: list[str] | Literal["*"]
    stream_mode: str | list[str]
    stream_subgraphs: bool
    multitask_strategy: Literal["enqueue", "reject", "interrupt", "rollback"]
    if_not_exists: Literal["create", "reject"]
    after_seconds: float
    durability: Literal["sync", "async", "exit"]
    #: For a run without a thread: whether its thread is kept (the default) or deleted.
    on_completion: Literal["delete", "keep"]
    webhook: str


@dataclass(frozen=True, slots=True)
class Started:
    """A run that was created."""

    id: UUID
    thread_id: UUID
    assistant_id: UUID
