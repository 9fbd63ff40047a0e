"""A request in the form of an Auth file's handlers, and their changes applied to the request."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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

    Deeper objects are shared with the body, so a handler changes the body directly there.
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


def bring_back(
    rule: Rule,
    path: Collection[str],
    shown: Mapping[str, Any],
    value: Mapping[str, Any],
    body: dict[str, Any],
) -> None:
    """Apply a handler's changes of its value to the body; removed fields are removed there too.

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
    # All changes are computed before the first is applied, because `shown` shares objects with the body.
    others = {*path, "metadata", "namespace", *NAMESPACES.values(), nested}
    changes = [*_changes(shown, value, fields - others)]
    if nested is not None:
        before, after = shown[nested], value.get(nested) or {}
        changes += _changes(before, after, before.keys() | after.keys())
    for name, new in changes:
        _put(body, name, new)
    if "metadata" in shown and rule.resource != "store":
        _put_metadata(body, value.get("metadata"))
    if rule.resource == "store":
        namespace = value.get("namespace") or ()
        if not isinstance(namespace, list | tuple):
            raise ValueError(f"a namespace is a tuple of labels, and not {namespace!r}")
        body[NAMESPACES.get(rule.action, "namespace")] = list(namespace)


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Collection[str]
) -> Iterator[tuple[str, Any]]:
    for name in names:
        was, now = before.get(name, _GONE), after.get(name, _GONE)
        if was is not now and was != now:
            yield name, now


def _put(body: dict[str, Any], name: str, value: Any) -> None:
    if value is _GONE:
        body.pop(name, None)
    else:
        body[name] = str(value) if isinstance(value, UUID) else value


def _put_metadata(body: dict[str, Any], metadata: dict[str, Any] | None) -> None:
    """Absent metadata stays absent unless a handler adds some.

    The view refuses invalid metadata.
    """
    if isinstance(body.get("metadata"), dict):
        if metadata is None:
            del body["metadata"]
        else:
            body["metadata"] = metadata
    elif metadata and body.get("metadata") is None:
        body["metadata"] = metadata


def identifier(value: Any) -> Any:
    """A UUID's text as a UUID; any other value unchanged, for the view to refuse."""
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        return value
