"""A client's request for a run, sanitised. Pure: no Django, no database.

The configuration is an attack surface. LangGraph's own settings live in `configurable`: a caller's
`thread_id` would write into another thread, and `__pregel_*` would switch persistence off. All of
`configurable` and the metadata is stored with each checkpoint. So only known keys of `config` pass,
and reserved names never do (durability §3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runs.exceptions import InvalidRequest
from runs.requests.checkpoint import sanitised_checkpoint
from runs.requests.command import sanitised_command
from threads.metadata import MOST_METADATA, ensure_few

#: Names of `configurable` that belong to the server or to LangGraph; a caller's values are dropped.
RESERVED_CONFIGURABLE = frozenset(
    [
        "thread_id",
        "run_id",
        "checkpoint_id",
        "checkpoint_ns",
        "checkpoint_map",
        "graph_id",
        "assistant_id",
        "cron_id",
        "langgraph_request_id",
    ]
)
#: Names of the metadata that belong to the server; a caller's values are dropped.
RESERVED_METADATA = frozenset(
    ["thread_id", "assistant_id", "run_id", "cron_id", "user_id", "counters_since_delta_snapshot"]
)
RESERVED_PREFIXES = ("__", "langgraph_auth_")

MAX_RECURSION = 1000
MAX_CONCURRENCY = 1000
MAX_TAGS = 100
MAX_TAG_LENGTH = 256
#: Ten years, in seconds.
MAX_DELAY = 10 * 366 * 86_400.0

BOTH_CONFIGURABLE_AND_CONTEXT = (
    "Cannot specify both configurable and context. Prefer setting context alone. Context was introduced in "
    "LangGraph 0.6.0 and is the long term planned replacement for configurable."
)
RESUME_WITHOUT_THREAD = "You must provide a thread_id when resuming."


class ContradictoryRequest(InvalidRequest):
    """The parts of the request contradict each other."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run to create, for `runs.lifecycle.admission.create_run`.

    A client's values pass `sanitised` first.
    """

    #: The id of an assistant, or the name of a graph.
    assistant_id: str
    input: Any = None
    #: The given ones of `update`, `goto` and `resume`. `{}` is a command too; `input` is then ignored.
    command: dict[str, Any] | None = None
    #: Where to continue from: the given ones of `checkpoint_id`, `checkpoint_ns` and `checkpoint_map`.
    checkpoint: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    #: The given ones of `tags`, `recursion_limit`, `max_concurrency` and `configurable`.
    config: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    #: Names of nodes, or "*" for all.
    interrupt_before: list[str] | str | None = None
    interrupt_after: list[str] | str | None = None
    #: As requested: "messages" and "messages-tuple" are two forms of the same events.
    stream_modes: list[str] = field(default_factory=lambda: ["values"])
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    multitask_strategy: str = "enqueue"
    #: What to do when the thread does not exist: `create` it, or `reject` the request.
    if_not_exists: str = "reject"
    after_seconds: float = 0.0
    durability: str = "async"
    #: Whether a stateless run's thread is deleted after it: `delete` or `keep`. A thread that the client
    #: named is kept.
    on_completion: str = "keep"
    #: What a disconnect of the creating request does to the run: `cancel` or `continue`.
    on_disconnect: str = "continue"
    feedback_keys: list[str] | None = None
    webhook: str | None = None
    #: Headers of the creating request that the graph gets in `configurable`, and no later run of the thread.
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def temporary(self) -> bool:
        """Whether the thread is deleted when the run ends."""
        return self.on_completion == "delete"


def with_headers(request: RunRequest, principal: object) -> RunRequest:
    """The request with the headers that its principal offers, without reserved names."""
    offered: Mapping[str, str] = getattr(principal, "headers", None) or {}
    kept = {name: value for name, value in offered.items() if not _reserved(name, RESERVED_CONFIGURABLE)}
    return replace(request, headers=kept) if kept else request


def sanitised(request: RunRequest, *, stateless: bool) -> RunRequest:
    """Return the request without reserved names, checked.

    Args:
        request: A client's values, each of the right type; `config` and `metadata` may have any
            keys.
        stateless: Whether the client named no thread.

    Raises:
        ContradictoryRequest: `configurable` and `context` are both set, or an answer has no thread.
        InvalidRequest: A value is not allowed.
    """
    if not 0 <= request.after_seconds <= MAX_DELAY:
        raise InvalidRequest(f"after_seconds must be between 0 and {MAX_DELAY:.0f}.")
    if stateless and (request.command or {}).get("resume") is not None:
        raise ContradictoryRequest(RESUME_WITHOUT_THREAD)
    config, context = mirrored(sanitised_config(request.config), request.context)
    checkpoint = sanitised_checkpoint(request.checkpoint or request.config.get("configurable") or {})
    return replace(
        request,
        command=sanitised_command(request.command),
        checkpoint=None if stateless else checkpoint,
        metadata=sanitised_metadata({**(request.config.get("metadata") or {}), **request.metadata}),
        config=config,
        context=context,
        stream_modes=list(dict.fromkeys(request.stream_modes)) or ["values"],
        on_completion=request.on_completion if stateless else "keep",
    )


def sanitised_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a LangChain configuration that a caller may set, checked."""
    kept: dict[str, Any] = {}
    if (limit := config.get("recursion_limit")) is not None:
        kept["recursion_limit"] = _integer("recursion_limit", limit, MAX_RECURSION)
    if (limit := config.get("max_concurrency")) is not None:
        kept["max_concurrency"] = _integer("max_concurrency", limit, MAX_CONCURRENCY)
    if (tags := config.get("tags")) is not None:
        kept["tags"] = _tags(tags)
    configurable = _object("config.configurable", config.get("configurable"))
    _object("config.metadata", config.get("metadata"))
    if configurable:
        kept["configurable"] = {
            name: each for name, each in configurable.items() if not _reserved(name, RESERVED_CONFIGURABLE)
        }
    return kept


def mirrored(config: dict[str, Any], context: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both with the same values, because `config.configurable` and `context` are synonyms.

    Reserved names of `configurable` are dropped from `context` too.

    Args:
        config: A sanitised configuration.

    Raises ContradictoryRequest if both are set.
    """
    configurable = config.get("configurable")
    if not context:
        return config, dict(configurable or {})
    if configurable:
        raise ContradictoryRequest(BOTH_CONFIGURABLE_AND_CONTEXT)
    return config | sanitised_config({"configurable": context}), dict(context)


def sanitised_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata without the server's names. Raises InvalidRequest for too many values."""
    try:
        ensure_few(metadata, MOST_METADATA)
    except ValueError as error:
        raise InvalidRequest(f"metadata {error}.") from None
    return {name: each for name, each in metadata.items() if not _reserved(name, RESERVED_METADATA)}


def _reserved(name: str, names: frozenset[str]) -> bool:
    return name in names or name.startswith(RESERVED_PREFIXES)


def _integer(name: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidRequest(f"config.{name} must be a whole number between 1 and {most}.")
    return value


def _tags(tags: object) -> list[str]:
    if (
        not isinstance(tags, list)
        or len(tags) > MAX_TAGS
        or not all(isinstance(tag, str) and len(tag) <= MAX_TAG_LENGTH for tag in tags)
    ):
        raise InvalidRequest(
            f"config.tags must be a list of at most {MAX_TAGS} strings of at most {MAX_TAG_LENGTH} characters."
        )
    return tags


def _object(name: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object.")
    return value
