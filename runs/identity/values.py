"""A request as an Auth file's handler sees it, and what the handler changed brought back into the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from runs.exceptions import InvalidRequest
from runs.identity.rules import Rule

#: Fields of a run's creation that handlers see beside `kwargs`, which has all others.
OUTSIDE = ("assistant_id", "metadata", "multitask_strategy", "if_not_exists", "after_seconds")
#: Where a request about the store says which namespace it means.
NAMESPACES = {"search": "namespace_prefix", "list_namespaces": "prefix"}


def handled(rule: Rule, path: Mapping[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The value for the handler of a rule.

    Args:
        path: The parameters of the request's path.
        body: The request's body, or the parameters of its query; may be changed here.

    Raises InvalidRequest for what no handler expects.
    """
    ids: dict[str, Any] = {name: identifier(value) for name, value in path.items()}
    if rule.resource == "store":
        namespace = body.get(NAMESPACES.get(rule.action, "namespace"))
        if isinstance(namespace, str):
            namespace = namespace.split(".") if namespace else []
        if not isinstance(namespace, list | None):
            raise InvalidRequest("A namespace must be a list of labels.")
        return {**body, "namespace": tuple(namespace or ())}
    if rule.action not in ("read", "delete"):
        if body.get("metadata") is None:
            body["metadata"] = {}
        if not isinstance(body["metadata"], dict):
            raise InvalidRequest("metadata must be an object.")
    if rule.action == "create_run":
        strategy = body.get("multitask_strategy") or "enqueue"
        return {
            "thread_id": None,
            "run_id": None,
            "status": "pending",
            "prevent_insert_if_inflight": strategy == "reject",
            **{name: body.get(name) for name in OUTSIDE},
            "multitask_strategy": strategy,
            "kwargs": {name: each for name, each in body.items() if name not in OUTSIDE},
            **ids,
        }
    if rule.resource == "crons" and rule.action in ("create", "update"):
        return {**body, "payload": body, **ids}
    own: dict[str, Any] = {
        name: identifier(body[name]) for name in ("thread_id", "assistant_id") if name in body
    }
    return {**body, **own, **ids}


def bring_back(rule: Rule, value: Mapping[str, Any], body: dict[str, Any]) -> None:
    """Put what a handler changed into the body. Raises ValueError if it made something of it that it cannot be."""
    for name in ("metadata", "kwargs"):
        # What the client itself sent is the view's to refuse.
        if value.get(name) is not body.get(name) and not isinstance(value.get(name), dict | None):
            raise ValueError(f"{name} is an object, and not {value[name]!r}")
    if rule.resource == "store":
        if "namespace" in value:
            namespace = value["namespace"] or ()
            if not isinstance(namespace, list | tuple):
                raise ValueError(f"a namespace is a tuple of labels, and not {namespace!r}")
            body[NAMESPACES.get(rule.action, "namespace")] = list(namespace)
        names = set(body) - {"namespace", *NAMESPACES.values()}
    elif rule.action == "create_run":
        kwargs = value.get("kwargs") or {}
        for name in set(body) - set(kwargs) - set(OUTSIDE):
            # What a handler takes out is not done.
            del body[name]
        body.update(kwargs)
        names = {"metadata"}
    else:
        names = (
            {"metadata"} & set(body)
            if rule.resource == "crons"
            else set(body) - {"thread_id", "assistant_id"}
        )
    for name in names:
        if name in value:
            body[name] = value[name]
        else:
            body.pop(name, None)


def identifier(value: Any) -> Any:
    """A UUID as one; what is none stays what it is, and the view says so."""
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        return value
