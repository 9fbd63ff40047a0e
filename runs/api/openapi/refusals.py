"""With which status each route refuses a request, for the API's document."""

from __future__ import annotations

from typing import Any

from runs.identity.auth_file.rules import Rule, rule_for

#: What each status says, whatever the route.
MEANINGS = {
    "400": "The parts of the request contradict each other, or the thread's graph does not take them.",
    "401": "Nobody has shown who they are.",
    "403": "The key's scopes do not reach that far, it is not the caller's to change, or another site's page asks.",
    "404": "There is no such thing, or it is somebody else's.",
    "409": "It exists already, or the thread is busy.",
    "413": "The body is too large.",
    "422": "A value is not allowed.",
    "429": "The user has, or asks for, more than the site allows; `Retry-After` says when to come back.",
    "503": "The database does not answer, or the server shuts down; `Retry-After` may say when to come back.",
}

#: Routes, as `ANSWERS` names them, whose bodies can contradict themselves, or what there is.
CONTRADICTED = frozenset({
    "POST /assistants", "PATCH /assistants/{}", "POST /threads", "POST /threads/{}/state", "PATCH /threads/{}/state",
    "POST /threads/{}/commands", "POST /threads/{}/stream/events", "PATCH /runs/crons/{}",
    "PUT /store/items", "GET /store/items", "DELETE /store/items", "POST /store/items/search", "POST /store/namespaces",
})  # fmt: skip
#: Routes that name an assistant or a graph in their bodies, or runs.
NAMING = frozenset({"POST /assistants", "POST /threads", "POST /runs/cancel"})
#: Routes that make what may be there already, or change a thread that may be busy.
CONFLICTING = frozenset({
    "POST /assistants", "POST /threads", "POST /threads/{}/state", "PATCH /threads/{}/state", "POST /threads/{}/runs",
    "POST /threads/{}/runs/stream", "POST /threads/{}/runs/wait",
})  # fmt: skip
#: Asked by everybody, and answered with this when it cannot take requests.
HEALTH = frozenset({"GET /", "GET /ok"})


def refusals(name: str, operation: dict[str, Any], *, public: bool) -> list[str]:
    """The statuses with which a route refuses.

    Args:
        name: As `ANSWERS` names it.
        operation: What the document says about it.
    """
    takes = bool(operation.get("parameters") or operation.get("requestBody"))
    if public:
        return ["422"] * takes + ["503"] * (name in HEALTH)
    method, path = name.split(" ")
    rule = rule_for(method, path) or Rule("", "")
    # A run is made, or will be.
    creates = rule.action in ("create_run", "create") and rule.resource in ("threads", "crons")
    runs = creates and path != "/threads"
    found = {
        "400": name in CONTRADICTED or runs,
        "401": True,
        "403": True,
        "404": "{}" in path or name in NAMING or runs,
        "409": name in CONFLICTING,
        "413": "requestBody" in operation,
        "422": takes,
        "429": creates or rule.makes_thread or rule.stays or rule.command,
        "503": True,
    }
    return [status for status, does in found.items() if does]
