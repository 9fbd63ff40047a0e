"""The error statuses of each route, for the API's document."""

from __future__ import annotations

from typing import Any

from runs.identity.auth_file.rules import Rule, rule_for

#: The meaning of each status, the same for all routes.
MEANINGS = {
    "400": "The parts of the request contradict each other, or the thread's graph does not take them.",
    "401": "The request is not authenticated.",
    "403": "The key's scopes do not allow this, the caller may not change the object, or another site's page sent the request.",
    "404": "The object does not exist, or it belongs to another user.",
    "409": "The object exists already, or the thread is busy.",
    "413": "The body is too large.",
    "422": "A value is not allowed.",
    "429": "The user has reached a limit of the site; `Retry-After` says when to try again.",
    "503": "The database does not answer, or the server is shutting down; `Retry-After` may say when to try again.",
}

#: Routes, named as in `ANSWERS`, whose bodies can contradict themselves or the existing data.
CONTRADICTED = frozenset({
    "POST /assistants", "PATCH /assistants/{}", "POST /threads", "POST /threads/{}/state", "PATCH /threads/{}/state",
    "POST /threads/{}/commands", "POST /threads/{}/stream/events", "PATCH /runs/crons/{}",
    "PUT /store/items", "GET /store/items", "DELETE /store/items", "POST /store/items/search", "POST /store/namespaces",
})  # fmt: skip
#: Routes whose bodies name an assistant, a graph or runs.
NAMING = frozenset({"POST /assistants", "POST /threads", "POST /runs/cancel"})
#: Routes that create an object that may exist already, or change a thread that may be busy.
CONFLICTING = frozenset({"POST /assistants", "POST /threads/{}/state", "PATCH /threads/{}/state"})
#: Public health checks; they answer 503 when the server cannot take requests.
HEALTH = frozenset({"GET /", "GET /ok"})


def refusals(name: str, operation: dict[str, Any], *, public: bool) -> list[str]:
    """The error statuses of a route.

    Args:
        name: The route's key in `ANSWERS`.
        operation: The route's operation in the document.
    """
    takes = bool(operation.get("parameters") or operation.get("requestBody"))
    if public:
        return ["422"] * takes + ["503"] * (name in HEALTH)
    method, path = name.split(" ")
    rule = rule_for(method, path) or Rule("", "", "keyed")
    # The route creates a run, or a cron that will.
    creates = rule.action in ("create_run", "create") and rule.resource in ("threads", "crons")
    runs = creates and path != "/threads"
    found = {
        "400": name in CONTRADICTED or runs,
        "401": True,
        "403": True,
        "404": "{}" in path or name in NAMING or runs,
        "409": name in CONFLICTING or creates or rule.makes_thread,
        "413": "requestBody" in operation,
        "422": takes,
        "429": creates or rule.makes_thread or rule.stays or rule.command,
        "503": True,
    }
    return [status for status, does in found.items() if does]
