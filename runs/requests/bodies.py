"""Bodies of the requests about runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, ValidationError

from runs.exceptions import InvalidRequest
from runs.requests.run import RunRequest, sanitised
from runs.webhooks.policy import check_webhook
from threads.api.http import JSONBody, Schema
from threads.api.schemas import Configuration

StreamMode = Literal[
    "values",
    "messages",
    "messages-tuple",
    "tasks",
    "checkpoints",
    "updates",
    "events",
    "debug",
    "custom",
    "tools",
    "lifecycle",
]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=2**31 - 1)]
SortOrder = Literal["asc", "desc"]
#: Maximum lengths of a body's lists. Pydantic reports an error per item, which is many times the item's size.
MOST_NODES, MOST_MODES, MOST_FIELDS = 1000, 20, 100


def listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _nodes(value: Any) -> Any:
    if value != "*" and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise ValueError('must be "*" or a list of the names of nodes')
    return value


Nodes = Annotated[Literal["*"] | Annotated[list[str], Field(max_length=MOST_NODES)], BeforeValidator(_nodes)]


class RunCreate(Schema):
    """A run to create. Unknown fields are ignored, and null is the same as absent."""

    assistant_id: str = Field(
        min_length=1, max_length=255, description="An assistant's id, or a graph's name.", examples=["agent"]
    )
    input: Any = Field(
        None,
        description="The graph's input; ignored if there is a command.",
        examples=[{"messages": [{"role": "user", "content": "Hello"}]}],
    )
    command: dict[str, Any] | None = Field(
        None, description="`update`, `goto` and `resume`.", examples=[{"resume": "yes"}]
    )
    checkpoint: dict[str, Any] | None = Field(
        None, description="The checkpoint of the thread to continue from."
    )
    checkpoint_id: str | None = Field(None, description="The same, by the checkpoint's id alone.")
    metadata: Configuration = {}
    config: Configuration = Field(
        {},
        description="`tags`, `recursion_limit`, `max_concurrency` and `configurable`; the rest is ignored.",
    )
    context: Configuration = Field(
        {}, description="The same values as `config.configurable`; set only one of them."
    )
    interrupt_before: Nodes | None = Field(None, description="Nodes to stop before, or `*` for all.")
    interrupt_after: Nodes | None = Field(None, description="Nodes to stop after, or `*` for all.")
    stream_mode: Annotated[list[StreamMode], Field(max_length=MOST_MODES), BeforeValidator(listed)] = [
        "values"
    ]
    stream_subgraphs: bool = False
    stream_resumable: bool = Field(False, description="Ignored: every run's stream can be resumed.")
    multitask_strategy: Literal["enqueue", "reject", "interrupt", "rollback"] = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    after_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    durability: Literal["sync", "async", "exit"] | None = None
    checkpoint_during: bool | None = Field(None, description="Deprecated: use `durability`.")
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = Field("delete", description="For runs without a thread.")
    feedback_keys: Annotated[list[str], Field(max_length=100)] | None = None
    webhook: str | None = Field(
        None,
        description="A URL that receives a POST when the run has ended.",
        examples=["https://example.com/runs"],
    )

    @classmethod
    def checked(cls, body: Mapping[str, Any], *, stateless: bool) -> RunRequest:
        """The sanitised request of a body that is stored, or the site's own. Raises InvalidRequest."""
        try:
            return cls.model_validate(body).request(stateless=stateless)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InvalidRequest(f"{place}: {first['msg']}") from None

    def request(self, *, stateless: bool) -> RunRequest:
        """The sanitised request. Raises InvalidRequest."""
        check_webhook(self.webhook)
        checkpoint = self.checkpoint or {}
        if self.checkpoint_id is not None:
            checkpoint = {**checkpoint, "checkpoint_id": self.checkpoint_id}
        request = RunRequest(
            assistant_id=self.assistant_id,
            input=self.input,
            command=self.command,
            checkpoint=checkpoint or None,
            metadata=self.metadata,
            config=self.config,
            context=self.context,
            interrupt_before=self.interrupt_before,
            interrupt_after=self.interrupt_after,
            stream_modes=list(self.stream_mode),
            stream_subgraphs=self.stream_subgraphs,
            stream_resumable=self.stream_resumable,
            multitask_strategy=self.multitask_strategy,
            if_not_exists=self.if_not_exists,
            after_seconds=self.after_seconds,
            durability=self.durability or ("exit" if self.checkpoint_during is False else "async"),
            on_completion=self.on_completion,
            on_disconnect=self.on_disconnect,
            feedback_keys=self.feedback_keys,
            webhook=self.webhook,
        )
        return sanitised(request, stateless=stateless)


RunBody = Annotated[RunCreate, JSONBody(...)]


RunBatch = Annotated[list[RunCreate], Field(min_length=1, max_length=200)]


class RunsCancel(Schema):
    """Which runs to cancel: all in a status, or named runs of a thread."""

    status: Literal["pending", "running", "all"] | None = None
    thread_id: UUID | None = None
    run_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None

    def statuses(self) -> list[str] | None:
        """The statuses to cancel; None if runs are named.

        Raises InvalidRequest for neither, or both.
        """
        named = self.thread_id is not None and self.run_ids is not None
        if (self.status is not None and (self.thread_id or self.run_ids)) or not (self.status or named):
            raise InvalidRequest("Give either status, or thread_id and run_ids.")
        if self.status is None:
            return None
        return ["pending", "running"] if self.status == "all" else [self.status]
