"""Errors as clients see them: always `{"detail": "<one sentence>"}`."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from langgraph.store.base import InvalidNamespaceError
from ninja import NinjaAPI
from ninja.errors import ValidationError

from runs.assistants.writing import AssistantExists, SystemAssistant
from runs.conf import settings
from runs.encoding import encode
from runs.exceptions import (
    CreationDeleted,
    InvalidRequest,
    KeyReused,
    LimitReached,
    NotFound,
    NothingToCancel,
    RequestTooLarge,
    ServerClosing,
    ThreadBusy,
    ThreadLocked,
)
from runs.graphs import GraphLoadError, GraphNotFound
from runs.requests.run import ContradictoryRequest
from threads.checkpoints import StorageUnavailable
from threads.db.errors import OF_DRIVERS, is_passing
from threads.db.time_limits import QueryTooSlow, TooManySearches
from threads.metadata import MetadataTooLarge
from threads.store.exceptions import (
    EmbeddingFailed,
    InvalidFilter,
    InvalidIndex,
    InvalidKey,
    InvalidTtl,
    InvalidValue,
    TooLarge,
)

logger = logging.getLogger(__name__)

STATUSES: dict[type[Exception], int] = {
    ContradictoryRequest: 400,
    InvalidRequest: 422,
    NotFound: 404,
    GraphNotFound: 404,
    NothingToCancel: 404,
    **dict.fromkeys((ThreadBusy, ThreadLocked, KeyReused, CreationDeleted), 409),
    AssistantExists: 409,
    SystemAssistant: 403,
    InvalidNamespaceError: 400,
    **dict.fromkeys((InvalidKey, InvalidValue, InvalidTtl, InvalidFilter, InvalidIndex), 422),
    **dict.fromkeys((TooLarge, RequestTooLarge, MetadataTooLarge), 413),
    QueryTooSlow: 422,
    EmbeddingFailed: 503,
}
#: Errors of Django's database layer, of the checkpoints' own drivers, and of exhausted retries on those.
OF_DATABASE = (*OF_DRIVERS, StorageUnavailable)
#: Characters of an error's sentence.
LONGEST = 2000
NO_GRAPH = "The graph cannot be loaded; the server's log says why."
IDS = {"thread_id": "thread ID", "run_id": "run ID", "assistant_id": "assistant ID", "cron_id": "cron ID"}


def refusal(status: int, detail: str) -> HttpResponse:
    if len(detail) > LONGEST:
        # It quotes what was sent.
        detail = detail[:LONGEST] + "…"
    return HttpResponse(encode({"detail": detail}), status=status, content_type="application/json")


def install(api: NinjaAPI) -> None:
    """Register a handler for each of the API's errors."""
    handlers: dict[type[Exception], Any] = {
        **{error_class: _answer(status) for error_class, status in STATUSES.items()},
        LimitReached: _too_much,
        TooManySearches: _no_turn,
        ValidationError: _invalid,
        RequestDataTooBig: _too_big,
        TooManyFieldsSent: _too_many,
        DisallowedHost: _wrong_host,
        ServerClosing: _closing,
        **dict.fromkeys(OF_DATABASE, _no_database),
        GraphLoadError: _no_graph,
        Exception: _failed,
    }
    for error_class, handler in handlers.items():
        api.add_exception_handler(error_class, handler)


def _answer(status: int) -> Any:
    def answer(request: HttpRequest, error: Exception) -> HttpResponse:
        return refusal(status, str(error))

    return answer


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    return refusal(422, sentence(error.errors))


def sentence(errors: list[dict[str, Any]]) -> str:
    """The first of pydantic's errors as one sentence.

    An error's location is (source, parameter, field, …).
    """
    first = errors[0]
    source, *place = first["loc"]
    if source == "path":
        return f"Invalid {IDS.get(str(place[-1]), str(place[-1]))}: must be a UUID"
    if source == "body":
        place = place[1:]
    # Pydantic's location also contains the members of a union.
    name = ".".join(str(part) for part in place if isinstance(part, int) or part.isidentifier())
    if first["type"] == "missing":
        return f"{name} is required."
    if first["type"] in ("model_type", "model_attributes_type"):
        return "The request body must be a JSON object."
    message = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    return f"{name or 'The request body'}: {message[:1].lower()}{message[1:]}."


def _too_much(request: HttpRequest, error: LimitReached) -> HttpResponse:
    response = refusal(429, str(error))
    response["Retry-After"] = str(error.retry_after)
    return response


def _no_turn(request: HttpRequest, error: TooManySearches) -> HttpResponse:
    response = refusal(429 if error.own else 503, str(error))
    response["Retry-After"] = str(error.retry_after)
    return response


def _too_big(request: HttpRequest, error: Exception) -> HttpResponse:
    return refusal(413, f"Request body is larger than {settings.BODY_LIMIT} bytes.")


def _too_many(request: HttpRequest, error: Exception) -> HttpResponse:
    return refusal(400, "The request has too many parameters.")


def _wrong_host(request: HttpRequest, error: Exception) -> HttpResponse:
    return refusal(400, "The Host header names a host that this server does not serve; see ALLOWED_HOSTS.")


def _no_database(request: HttpRequest, error: Exception) -> HttpResponse:
    if not is_passing(error) and not isinstance(error, StorageUnavailable):
        return _failed(request, error)
    logger.error("%s %r failed: %s", request.method, request.path, error)
    response = refusal(503, "The database does not answer; try again.")
    response["Retry-After"] = "1"
    return response


def _closing(request: HttpRequest, error: ServerClosing) -> HttpResponse:
    """The work continues in another process, or here after the restart."""
    response = refusal(503, str(error))
    response["Retry-After"] = "1"
    return response


def _no_graph(request: HttpRequest, error: Exception) -> HttpResponse:
    """A configuration error: the details go to the log, not to the client."""
    logger.error("%s %r failed: %s", request.method, request.path, error)
    return refusal(500, NO_GRAPH)


def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("%s %r failed.", request.method, request.path, exc_info=error)
    return refusal(500, "Internal Server Error")
