"""The API: its routers, error handlers, JSON renderer and authentication."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET
from ninja import NinjaAPI
from ninja.operation import Operation
from ninja.renderers import BaseRenderer

from runs.api.openapi.document import document
from runs.api.openapi.page import DocsPage
from runs.api.responses import errors
from runs.api.routes import (
    assistants,
    crons,
    protocol,
    runs,
    states,
    store,
    streams,
    system,
    thread_stream,
    threads,
    tickets,
)
from runs.conf import settings
from runs.encoding import encode
from runs.identity.requests import principal_of
from runs.requests import mount
from runs.requests.parsing import JSONParser
from runs.version import NAME, VERSION

#: Not "api", which sites use for their own.
NAMESPACE = "runs_api"
DESCRIPTION = f"""LangGraph agents that run durably: the API of LangGraph Server {system.API_VERSION}, for its stock clients, served by {NAME} {VERSION}.
A request acts as the user of its API key, or as the logged-in user. Other users' objects are hidden."""


class JSON(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> str:
        return encode(data)


class API(NinjaAPI):
    def get_content_type(self) -> str:
        """No charset, because JSON is always UTF-8 (RFC 8259 §8.1)."""
        return "application/json"

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The method name in generated clients."""
        return operation.view_func.__name__

    def get_openapi_schema(self, **_: Any) -> Any:
        return document(self)

    def _get_urls(self) -> list[Any]:
        # Before Ninja's own view, which makes the document each time.
        found: list[Any] = [path("openapi.json", require_GET(openapi_json)), *super()._get_urls()]
        for pattern in found:
            mount.mark(pattern.callback, str(pattern.pattern))
        return found


@lru_cache(maxsize=8)
def rendered(prefix: str) -> tuple[str, str]:
    """The document as JSON for an API below a prefix, and its entity tag. It takes 60 ms to make."""
    servers = {"servers": [{"url": prefix}]} if prefix else {}
    text = encode({**api.get_openapi_schema(), **servers})
    return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


async def openapi_json(request: HttpRequest) -> HttpResponse:
    text, tag = rendered(mount.prefix_of(request))
    known = tag in request.headers.get("If-None-Match", "")
    response = HttpResponse(
        b"" if known else text, status=304 if known else 200, content_type="application/json"
    )
    response["ETag"] = tag
    return response


def build() -> API:
    api = API(
        title="Agents",
        version=VERSION,
        description=DESCRIPTION,
        urls_namespace=NAMESPACE,
        auth=principal_of,
        renderer=JSON(),
        parser=JSONParser(depth=lambda: settings.JSON_DEPTH),
        docs=DocsPage(),
        docs_decorator=require_GET,
    )
    errors.install(api)
    for router in (
        system.router,
        assistants.router,
        threads.collection,
        threads.router,
        states.router,
        thread_stream.router,
        protocol.router,
        tickets.router,
        # "/threads/{t}/runs/crons" and "/threads/{t}/runs/stream" before "/threads/{t}/runs/{r}".
        crons.router,
        streams.router,
        runs.router,
        streams.stateless,
        runs.stateless,
        store.router,
    ):
        api.add_router("", router)
    return api


api = build()


@csrf_exempt
async def not_found(request: HttpRequest) -> HttpResponse:
    """The answer to unknown paths."""
    return errors.refusal(404, "Not Found")


mount.mark(not_found, None)
