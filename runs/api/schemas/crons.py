"""Bodies of the requests about crons, and crons as clients see them (wire protocol §8)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from runs.crons.editing import ERASABLE
from runs.models import Cron
from runs.requests.bodies import (
    MOST_FIELDS,
    MOST_MODES,
    Limit,
    Nodes,
    Offset,
    RunCreate,
    SortOrder,
    StreamMode,
    listed,
)
from threads.api.http import Schema
from threads.api.schemas import Configuration, Wanted
from threads.api.wire import timestamp
from threads.redaction import redacted


def _in_utc(value: datetime) -> datetime:
    """A time without a zone is taken as UTC."""
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is no time that this server knows") from None


Time = Annotated[datetime, AfterValidator(_in_utc)]
OnRunCompleted = Literal["delete", "keep"]
#: Fields of the bodies below that are columns of a cron.
COLUMNS = frozenset({"schedule", "timezone", "end_time", "enabled", "on_run_completed"})


class CronCreate(RunCreate):
    """A cron to create: its schedule, and the run that it creates."""

    schedule: str = Field(
        description="Five fields: minute, hour, day of the month, month, day of the week.",
        examples=["0 9 * * 1-5"],
    )
    timezone: str | None = Field(
        None,
        description="The IANA name of the schedule's time zone; UTC by default.",
        examples=["Europe/Berlin"],
    )
    end_time: Time | None = Field(None, description="The cron does not fire after this time.")
    enabled: bool = True
    on_run_completed: OnRunCompleted = Field(
        "delete",
        description="What to do with the thread that was created for a run; not for crons on a thread.",
    )

    def payload(self) -> dict[str, Any]:
        """What the client sent."""
        return self.model_dump(mode="json", exclude_unset=True)

    def columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in COLUMNS}


class CronUpdate(Schema):
    """Changes to a cron. Null removes `end_time`, `timezone` or `webhook`."""

    schedule: str | None = None
    timezone: str | None = None
    end_time: Time | None = None
    enabled: bool | None = None
    on_run_completed: OnRunCompleted | None = None
    input: Any = None
    command: dict[str, Any] | None = None
    metadata: Configuration | None = Field(None, description="Merged into the cron's metadata.")
    config: Configuration | None = None
    context: Configuration | None = None
    webhook: str | None = None
    interrupt_before: Nodes | None = None
    interrupt_after: Nodes | None = None
    stream_mode: Annotated[list[StreamMode], Field(max_length=MOST_MODES), BeforeValidator(listed)] | None = (
        None
    )
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    multitask_strategy: Literal["enqueue", "reject", "interrupt", "rollback"] | None = None
    durability: Literal["sync", "async", "exit"] | None = None

    @model_validator(mode="before")
    @classmethod
    def null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None or name in ERASABLE}
        return data

    def payload(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_unset=True)

    def columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in COLUMNS & self.model_fields_set}


class CronFilter(Schema):
    """Which crons to count."""

    assistant_id: UUID | None = None
    thread_id: UUID | None = None
    enabled: bool | None = None
    metadata: Wanted = Field({}, description="What their metadata must contain.")


Shown = Literal[
    "cron_id", "assistant_id", "thread_id", "user_id", "end_time", "schedule", "timezone", "payload", "next_run_date",
    "metadata", "on_run_completed", "enabled", "created_at", "updated_at", "now",
]  # fmt: skip


class CronSearch(CronFilter):
    """Which crons to list."""

    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal[
        "cron_id", "assistant_id", "thread_id", "next_run_date", "end_time", "created_at", "updated_at"
    ] = "created_at"
    sort_order: SortOrder = "desc"
    select: Annotated[list[Shown], Field(max_length=MOST_FIELDS)] | None = None


def shown_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a cron's runs, without secrets."""
    hidden = {name: redacted(payload[name]) for name in ("config", "context") if payload.get(name)}
    return {**payload, **hidden}


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


CRON_FIELDS: dict[str, Callable[[Cron], Any]] = {
    "cron_id": lambda cron: str(cron.id),
    "assistant_id": lambda cron: str(cron.assistant_id),
    "thread_id": lambda cron: str(cron.thread_id) if cron.thread_id else None,
    "user_id": lambda cron: str(cron.user_id),
    "end_time": lambda cron: _time(cron.end_time),
    "schedule": lambda cron: cron.schedule,
    "timezone": lambda cron: cron.timezone,
    "payload": lambda cron: shown_payload(cron.payload),
    "next_run_date": lambda cron: _time(cron.next_run_date),
    "metadata": lambda cron: cron.metadata,
    "on_run_completed": lambda cron: cron.on_run_completed,
    "enabled": lambda cron: cron.enabled,
    "created_at": lambda cron: timestamp(cron.created_at),
    "updated_at": lambda cron: timestamp(cron.updated_at),
}


def cron_json(cron: Cron, select: Collection[str] | None = None) -> dict[str, Any]:
    """A cron as clients see it, or its selected fields."""
    return {name: show(cron) for name, show in CRON_FIELDS.items() if not select or name in select}
