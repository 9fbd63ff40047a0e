"""The API's OpenAPI document: Ninja's, with the routes' responses and the ways to authenticate.

`docs/openapi.json` is a copy for readers without a server; `manage.py openapi` regenerates it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from ninja import NinjaAPI

from runs.api.openapi.answers import ANSWERS, BODIES, SCHEMAS, answer, ref
from runs.api.openapi.refusals import MEANINGS, refusals
from runs.identity.auth_file import configured

#: Paths that need no authentication; all others need one of `SECURITY`.
PUBLIC = frozenset({"/", "/docs", "/info", "/metrics", "/ok", "/openapi.json"})
SECURITY: list[dict[str, list[str]]] = [{"Key": []}, {"Bearer": []}, {"Session": []}]
#: Paths that Ninja serves but leaves out of its document.
BESIDE = {"/docs": "Read this document", "/openapi.json": "Get this document"}

_PARAMETER = re.compile(r"{\w+}")


def document(api: NinjaAPI) -> dict[str, Any]:
    """The document of all routes, with paths that have no prefix."""
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
    return with_auth_file(made, _of_auth_file())


def _of_auth_file() -> Mapping[str, Any]:
    try:
        file = configured.current()
    except configured.AuthFileError:
        return {}  # All requests are refused, and a system check says why.
    return file.openapi if file is not None else {}


def with_auth_file(made: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The document with `auth.openapi` of a langgraph.json: its schemes beside the site's own."""
    made["components"]["securitySchemes"] |= given.get("securitySchemes") or {}
    made["security"] = [*(given.get("security") or ()), *made["security"]]
    for path, methods in (given.get("paths") or {}).items():
        for method, security in methods.items():
            if (operation := made["paths"].get(path, {}).get(method.lower())) is not None:
                operation["security"] = security
    return made


def _refusal(status: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/Refused{status}"}


def key(method: str, path: str) -> str:
    """The key of an operation in `ANSWERS`."""
    return f"{method.upper()} {_PARAMETER.sub('{}', path)}"


def security_schemes() -> dict[str, Any]:
    return {
        "Key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
        "Session": {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A login to this site; requests that change something also need the header X-CSRFToken.",
        },
    }
