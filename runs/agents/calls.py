"""A call as the request that it would be over HTTP, checked in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from runs.agents.types import Options
from runs.encoding import decode, encode
from runs.exceptions import InvalidRequest
from runs.requests.bodies import RunCreate
from runs.requests.idempotency import Once
from runs.requests.run import RunRequest

OPTIONS = frozenset(RunCreate.model_fields) - {"assistant_id", "input"}


def body_of(assistant: str, input: Any, options: Options) -> dict[str, Any]:
    """The body of the request, as JSON. Raises InvalidRequest for options that do not exist.

    Over HTTP these are ignored, because stock clients send more. A site's own code has mistyped them.
    """
    if unknown := sorted(set(options) - OPTIONS):
        raise InvalidRequest(f"There is no option {', '.join(unknown)}.")
    return as_json({"assistant_id": assistant, "input": input, "on_completion": "keep", **options})


def as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = decode(encode(given))
    return found


def once_of(user: Any, key: str | None, call: str, *request: Any) -> Once | None:
    """A call with its key, if it has one; the parts of its request must be JSON."""
    return None if key is None else Once.of(user.pk, key, call, *request)


def request_of(body: Mapping[str, Any], thread_id: UUID | None) -> RunRequest:
    """Raises InvalidRequest."""
    return RunCreate.checked(body, stateless=thread_id is None)
