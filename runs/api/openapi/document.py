"""The API's document (OpenAPI): Ninja's, with what the routes answer and how a client says who it is.

`docs/openapi.json` is a copy for those who have no server at hand; `manage.py openapi` writes it anew.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from ninja import NinjaAPI

from runs.api.openapi.answers import ANSWERS, BODIES, SCHEMAS, answer, ref
from runs.api.openapi.refusals import MEANINGS, refusals

#: Answered to everybody; the rest needs one of these.
PUBLIC = frozenset({"/", "/docs", "/info", "/metrics", "/ok", "/openapi.json"})
SECURITY: list[dict[str, list[str]]] = [{"Key": []}, {"Bearer": []}, {"Session": []}]
#: Served by Ninja, which does not describe them.
BESIDE = {"/docs": "Read this document", "/openapi.json": "Get this document"}

_PARAMETER = re.compile(r"{\w+}")


def document(api: NinjaAPI) -> dict[str, Any]:
    """The document of all routes, below no prefix."""
    made: dict[str, Any] = dict(NinjaAPI.get_openapi_schema(api, path_prefix=""))
    for path, summary in BESIDE.items():
        operation = {"operationId": path.strip("/").replace(".", "_"), "summary": summary, "tags": ["System"]}
        made["paths"][path] = {"get": {**operation, "parameters": []}}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            name, public = key(method, path), path in PUBLIC
            if name in BODIES:
                operation["requestBody"] = BODIES[name]
            described = ANSWERS.get(name, {"200": {"description": "OK"}})
            refused = {status: _refusal(status) for status in refusals(name, operation, public=public)}
            operation["responses"] = {**described, **refused, **described}
            if public:
                operation["security"] = []
    components = made["components"]
    components["schemas"] = {**components.get("schemas", {}), **SCHEMAS}
    components["responses"] = {
        f"Refused{status}": answer(ref("Error"), meaning) for status, meaning in MEANINGS.items()
    }
    components["securitySchemes"] = security_schemes()
    made["security"] = SECURITY
    return made


def _refusal(status: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/Refused{status}"}


def key(method: str, path: str) -> str:
    """How `ANSWERS` names an operation."""
    return f"{method.upper()} {_PARAMETER.sub('{}', path)}"


def security_schemes() -> dict[str, Any]:
    return {
        "Key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
        "Session": {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A login to this site; what changes something needs the header X-CSRFToken too.",
        },
    }
