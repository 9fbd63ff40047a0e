"""The response schemas of all routes, for the API's document. Responses are not validated.

A test fails if a route is missing here; entries without a route are ignored.
"""

from __future__ import annotations

from typing import Any

from runs.protocols.agent.filters import MAX_DEPTH, MAX_ENTRIES

JSON = dict[str, Any]

TEXT: JSON = {"type": "string"}
WHOLE: JSON = {"type": "integer"}
YES_OR_NO: JSON = {"type": "boolean"}
OBJECT: JSON = {"type": "object"}
ANYTHING: JSON = {}
UUID: JSON = {"type": "string", "format": "uuid"}
TIME: JSON = {"type": "string", "format": "date-time"}
STATUSES = ["pending", "running", "success", "error", "timeout", "interrupted"]


def maybe(schema: JSON) -> JSON:
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: JSON, *, most: int | None = None) -> JSON:
    return {"type": "array", "items": schema, **({} if most is None else {"maxItems": most})}


def ref(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}


def shape(description: str, required: JSON, **optional: JSON) -> JSON:
    return {
        "type": "object",
        "description": description,
        "properties": {**required, **optional},
        "required": list(required),
    }


def selected(schema: JSON) -> JSON:
    """The schema with all fields optional, because a client may select some of them."""
    return {name: each for name, each in schema.items() if name != "required"}


GRAPH_SCHEMA = {f"{name}_schema": maybe(OBJECT) for name in ("input", "output", "state", "config", "context")}
DEFINITION: JSON = {
    "graph_id": TEXT, "config": OBJECT, "context": OBJECT, "metadata": OBJECT, "name": TEXT, "description": maybe(TEXT),
}  # fmt: skip
#: A place in a thread's history.
CHECKPOINT: JSON = maybe(OBJECT)

SCHEMAS: JSON = {
    "Error": shape("Why a request was refused, in one sentence.", {"detail": TEXT}),
    "Ok": shape("The server takes requests.", {"ok": YES_OR_NO, "services": OBJECT}),
    "Info": shape(
        "The server's version and capabilities.",
        {"version": TEXT, "langgraph_py_version": TEXT, "flags": OBJECT, "host": OBJECT},
    ),
    "Metrics": shape("The load of the server.", {"queue": maybe(OBJECT), "api": OBJECT, "workers": OBJECT}),
    "Assistant": shape(
        "A graph with a configuration.",
        {"assistant_id": UUID, **DEFINITION, "created_at": TIME, "updated_at": TIME, "version": WHOLE},
    ),
    "AssistantVersion": shape(
        "One version of an assistant.", {"assistant_id": UUID, "version": WHOLE, **DEFINITION, "created_at": TIME}
    ),
    "Graph": shape("Nodes and edges.", {"nodes": many(OBJECT), "edges": many(OBJECT)}),
    "GraphSchemas": shape("The JSON schemas of a graph.", {"graph_id": TEXT, **GRAPH_SCHEMA}),
    "Subgraphs": {
        "type": "object",
        "description": "The JSON schemas of subgraphs, by their namespaces.",
        "additionalProperties": shape("The JSON schemas of a subgraph.", GRAPH_SCHEMA),
    },
    "Thread": shape(
        "A conversation.",
        {
            "thread_id": UUID,
            "created_at": TIME,
            "updated_at": TIME,
            "state_updated_at": TIME,
            "metadata": OBJECT,
            "status": {"type": "string", "enum": ["idle", "busy", "interrupted", "error"]},
            "config": OBJECT,
            "values": ANYTHING,
        },
        interrupts=OBJECT,
        error=ANYTHING,
        ttl=maybe(OBJECT),
        extracted=OBJECT,
    ),
    "ThreadState": shape(
        "The state of a thread at a checkpoint.",
        {
            "values": ANYTHING,
            "next": many(TEXT),
            "tasks": many(OBJECT),
            "metadata": maybe(OBJECT),
            "created_at": maybe(TEXT),
            "checkpoint": CHECKPOINT,
            "parent_checkpoint": CHECKPOINT,
            "interrupts": many(OBJECT),
        },
        checkpoint_id=maybe(TEXT),
        parent_checkpoint_id=maybe(TEXT),
    ),
    "StateUpdated": shape("The checkpoint of the new state.", {"checkpoint": CHECKPOINT}, checkpoint_id=maybe(TEXT)),
    "Ticket": shape(
        "Opens one websocket, within so many seconds.", {"ticket": TEXT, "expires_in": WHOLE}
    ),
    "Pruned": shape("How many threads were pruned.", {"pruned_count": WHOLE}),
    "Storage": shape("How much a thread stores.", {"thread_id": UUID, "total_bytes": WHOLE}),
    "Run": shape(
        "One execution of an assistant on a thread.",
        {
            "run_id": UUID,
            "thread_id": UUID,
            "assistant_id": UUID,
            "metadata": OBJECT,
            "status": {"type": "string", "enum": STATUSES},
            "kwargs": OBJECT,
            "multitask_strategy": {"type": "string", "enum": ["reject", "rollback", "interrupt", "enqueue"]},
            "created_at": TIME,
            "updated_at": TIME,
            "langsmith_session_name": maybe(TEXT),
        },
    ),
    "Cron": shape(
        "A schedule that creates runs.",
        {
            "cron_id": UUID, "assistant_id": UUID, "thread_id": maybe(UUID), "user_id": TEXT, "schedule": TEXT,
            "timezone": maybe(TEXT), "payload": OBJECT, "metadata": OBJECT, "enabled": YES_OR_NO,
            "on_run_completed": maybe(TEXT), "end_time": maybe(TIME), "next_run_date": maybe(TIME), "created_at": TIME,
            "updated_at": TIME,
        },
    ),
    "Item": shape(
        "A stored value with its namespace and key.",
        {"namespace": many(TEXT), "key": TEXT, "value": OBJECT, "created_at": TIME, "updated_at": TIME},
        score=maybe({"type": "number"}),
    ),
    "Items": shape("What was found.", {"items": many(ref("Item"))}),
    "Namespaces": shape("The namespaces that were found.", {"namespaces": many(many(TEXT))}),
    "Command": shape(
        "A command of the agent streaming protocol.", {"id": WHOLE, "method": TEXT}, params=OBJECT
    ),
    "EventFilter": shape(
        "Which of a thread's protocol events to stream.", {"channels": many(TEXT, most=MAX_ENTRIES)},
        namespaces=many(many(TEXT, most=MAX_DEPTH), most=MAX_ENTRIES), depth=WHOLE, since=WHOLE,
    ),
}  # fmt: skip
#: Schemas whose fields a client may select.
SELECTABLE = ("Assistant", "Thread", "Run", "Cron")
SCHEMAS |= {f"Selected{name}": selected(SCHEMAS[name]) for name in SELECTABLE}

EMPTY: JSON = {"description": "Done; the response has no body."}


def answer(schema: JSON, description: str = "OK", *, media: str = "application/json") -> JSON:
    return {"description": description, "content": {media: {"schema": schema}}}


def located(found: JSON, *names: str) -> JSON:
    """A response with these headers added."""
    return {**found, "headers": {name: {"schema": TEXT} for name in names}}


def page(name: str) -> JSON:
    found = answer(many(ref(f"Selected{name}")), "A page of objects with the selected fields.")
    return located(found, "X-Pagination-Total", "X-Pagination-Next")


EVENTS = answer(TEXT, "A stream of events.", media="text/event-stream")
RESULT = answer(ANYTHING, "The run's final values.")
COUNT, RUN, STATE, THREAD = (
    answer(WHOLE),
    answer(ref("Run")),
    answer(ref("ThreadState")),
    answer(ref("Thread")),
)
ASSISTANT, CRON = answer(ref("Assistant")), answer(ref("Cron"))
WHERE, BACK = "Content-Location", "Location"

#: The responses of each operation, by status. Keys are "METHOD path" with unnamed parameters.
ANSWERS: dict[str, JSON] = {
    "GET /": {"200": answer(ref("Ok"))},
    "GET /ok": {"200": answer(ref("Ok"))},
    "GET /info": {"200": answer(ref("Info"))},
    "GET /metrics": {"200": {
        "description": "The metrics, in Prometheus' format or as JSON.",
        "content": {"text/plain": {"schema": TEXT}, "application/json": {"schema": ref("Metrics")}},
    }},
    "GET /docs": {"200": answer(TEXT, "This document as a web page.", media="text/html")},
    "GET /openapi.json": {"200": answer(OBJECT, "This document.")},
    "POST /assistants": {"200": ASSISTANT},
    "POST /assistants/search": {"200": page("Assistant")},
    "POST /assistants/count": {"200": COUNT},
    "GET /assistants/{}": {"200": ASSISTANT},
    "PATCH /assistants/{}": {"200": ASSISTANT},
    "DELETE /assistants/{}": {"204": EMPTY},
    "POST /assistants/{}/versions": {"200": answer(many(ref("AssistantVersion")))},
    "POST /assistants/{}/latest": {"200": ASSISTANT},
    "GET /assistants/{}/graph": {"200": answer(ref("Graph"))},
    "GET /assistants/{}/schemas": {"200": answer(ref("GraphSchemas"))},
    "GET /assistants/{}/subgraphs": {"200": answer(ref("Subgraphs"))},
    "GET /assistants/{}/subgraphs/{}": {"200": answer(ref("Subgraphs"))},
    "POST /threads": {"200": THREAD},
    "POST /threads/search": {"200": page("Thread")},
    "POST /threads/count": {"200": COUNT},
    "POST /threads/prune": {"200": answer(ref("Pruned"))},
    "GET /threads/{}": {"200": THREAD},
    "PATCH /threads/{}": {"200": THREAD, "204": EMPTY},
    "DELETE /threads/{}": {"204": EMPTY},
    "POST /threads/{}/copy": {"200": THREAD},
    "GET /threads/{}/storage": {"200": answer(ref("Storage"))},
    "GET /threads/{}/state": {"200": STATE},
    "POST /threads/{}/state": {"200": answer(ref("StateUpdated"))},
    "PATCH /threads/{}/state": {"200": answer(ref("StateUpdated"))},
    "GET /threads/{}/state/{}": {"200": STATE},
    "POST /threads/{}/state/checkpoint": {"200": STATE},
    "GET /threads/{}/history": {"200": answer(many(ref("ThreadState")))},
    "POST /threads/{}/history": {"200": answer(many(ref("ThreadState")))},
    "GET /threads/{}/stream": {"200": EVENTS},
    "POST /threads/{}/commands": {
        "200": answer(OBJECT, "The result of the command."),
        "400": answer(OBJECT, "It is no command."),
    },
    "POST /threads/{}/stream/events": {"200": EVENTS},
    "POST /threads/{}/ticket": {"200": answer(ref("Ticket"))},
    "POST /threads/{}/runs": {"200": located(RUN, WHERE)},
    "GET /threads/{}/runs": {"200": page("Run")},
    "POST /threads/{}/runs/stream": {"200": located(EVENTS, BACK, WHERE)},
    "POST /threads/{}/runs/wait": {"200": located(RESULT, BACK, WHERE)},
    "POST /threads/{}/runs/crons": {"200": CRON},
    "GET /threads/{}/runs/{}": {"200": RUN},
    "DELETE /threads/{}/runs/{}": {"204": EMPTY},
    "GET /threads/{}/runs/{}/join": {"200": located(RESULT, BACK, WHERE)},
    "GET /threads/{}/runs/{}/stream": {"200": located(EVENTS, BACK, WHERE)},
    "POST /threads/{}/runs/{}/cancel": {
        "202": {"description": "The cancellation was requested."},
        "200": located(answer(OBJECT, "It has stopped."), BACK, WHERE),
    },
    "POST /runs": {"200": located(RUN, WHERE)},
    "POST /runs/stream": {"200": located(EVENTS, BACK, WHERE)},
    "POST /runs/wait": {"200": located(RESULT, BACK, WHERE)},
    "POST /runs/batch": {"200": answer(many(ref("Run")))},
    "POST /runs/cancel": {"204": EMPTY},
    "GET /runs/{}/join": {"200": located(RESULT, BACK, WHERE)},
    "GET /runs/{}/stream": {"200": located(EVENTS, BACK, WHERE)},
    "POST /runs/crons": {"200": CRON},
    "POST /runs/crons/search": {"200": page("Cron")},
    "POST /runs/crons/count": {"200": COUNT},
    "GET /runs/crons/{}": {"200": CRON},
    "PATCH /runs/crons/{}": {"200": CRON},
    "DELETE /runs/crons/{}": {"204": EMPTY},
    "PUT /store/items": {"204": EMPTY},
    "GET /store/items": {"200": answer(maybe(ref("Item")))},
    "DELETE /store/items": {"204": EMPTY},
    "POST /store/items/search": {"200": answer(ref("Items"))},
    "POST /store/namespaces": {"200": answer(ref("Namespaces"))},
}  # fmt: skip

#: Request bodies of routes that parse them without Ninja.
BODIES: dict[str, JSON] = {
    name: {"required": True, "content": {"application/json": {"schema": ref(schema)}}}
    for name, schema in (
        ("POST /threads/{}/commands", "Command"),
        ("POST /threads/{}/stream/events", "EventFilter"),
    )
}
