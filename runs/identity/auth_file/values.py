"""A request in the form of an Auth file's handlers, and the request with their changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from runs.exceptions import InvalidRequest
from runs.identity.auth_file.rules import Rule

#: Fields of a new run that handlers see at the top level; all others are in `kwargs`.
OUTSIDE = ("assistant_id", "metadata", "multitask_strategy", "if_not_exists", "after_seconds")
#: The field of a store request that holds the namespace.
NAMESPACES = {"search": "namespace_prefix", "list_namespaces": "prefix"}
#: Parts of a value that are objects.
OBJECTS = ("metadata", "kwargs", "payload")

_GONE = object()


def handled(rule: Rule, path: Mapping[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The value for the handler of a rule.

    Args:
        path: The parameters of the request's path.
        body: The request's body, or the parameters of its query.

    Raises InvalidRequest for a form that no handler expects.
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
        # If the client's metadata is no object, the view refuses it.
        given = body.get("metadata")
        body = {**body, "metadata": given if isinstance(given, dict) else {}}
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
    if _nested(rule) == "payload":
        return {**body, "payload": dict(body), **ids}
    own: dict[str, Any] = {
        name: identifier(body[name]) for name in ("thread_id", "assistant_id") if name in body
    }
    return {**body, **own, **ids}


def copied(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a handler's value, to compare with the value after the call.

    Deeper objects are shared with the body: copying them all takes as long as parsing it.
    """
    return {
        name: dict(each) if name in ("kwargs", "payload") and isinstance(each, dict) else each
        for name, each in value.items()
    }


def _nested(rule: Rule) -> str | None:
    """The part of a rule's value that also holds fields of the request."""
    if rule.action == "create_run":
        return "kwargs"
    return "payload" if rule.resource == "crons" and rule.action in ("create", "update") else None


def changed(
    rule: Rule,
    path: Collection[str],
    shown: Mapping[str, Any],
    value: Mapping[str, Any],
    body: Mapping[str, Any],
) -> dict[str, Any]:
    """The body with a handler's changes of its value; fields that it removed are absent.

    Args:
        path: The names of the path's parameters, which no handler can change.
        shown: The value before the handler was called.

    Raises ValueError if the handler's value is invalid.
    """
    for name in OBJECTS:
        # The view validates a value that came from the client.
        if value.get(name) is not shown.get(name) and not isinstance(value.get(name), dict | None):
            raise ValueError(f"{name} is an object, and not {value[name]!r}")
    nested = _nested(rule)
    fields = set(OUTSIDE) if nested == "kwargs" else set(body)
    others = {*path, "metadata", "namespace", *NAMESPACES.values(), nested}
    made = {**body, **_changes(shown, value, fields - others)}
    if nested is not None:
        before, after = shown[nested], value.get(nested) or {}
        made |= _changes(before, after, before.keys() | after.keys())
    if rule.resource == "store":
        namespace = value.get("namespace") or ()
        if not isinstance(namespace, list | tuple):
            raise ValueError(f"a namespace is a tuple of labels, and not {namespace!r}")
        made[NAMESPACES.get(rule.action, "namespace")] = list(namespace)
    elif "metadata" in shown:
        made["metadata"] = _metadata(made, value.get("metadata"))
    return {name: each for name, each in made.items() if each is not _GONE}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The fields that differ, with their new values; `_GONE` for a removed field."""
    now = {name: after.get(name, _GONE) for name in names}
    differ = {name: each for name, each in now.items() if _differs(before.get(name, _GONE), each)}
    return {name: str(each) if isinstance(each, UUID) else each for name, each in differ.items()}


def _differs(was: Any, now: Any) -> bool:
    return was is not now and bool(was != now)


def _metadata(body: Mapping[str, Any], metadata: dict[str, Any] | None) -> Any:
    """The metadata of a body; `_GONE` if it has none.

    Absent metadata stays absent unless a handler adds some. The view refuses invalid metadata.
    """
    given = body.get("metadata", _GONE)
    if isinstance(given, dict):
        return _GONE if metadata is None else metadata
    return metadata if metadata and (given is None or given is _GONE) else given


def identifier(value: Any) -> Any:
    """A UUID's text as a UUID; any other value unchanged, for the view to refuse."""
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        return value
