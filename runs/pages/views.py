"""The views of the chat page. The page itself uses the API like any other client."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from ninja.errors import AuthenticationError, HttpError

from runs.conf import settings as run_settings
from runs.identity.auth_file.permission import permit
from runs.identity.auth_file.rules import RULES
from runs.identity.principals import Principal
from runs.identity.requests import principal_elsewhere
from runs.pages import reading
from runs.pages.content_policy import content_security
from runs.pages.modules import modules_of
from runs.requests.mount import without_atomic_requests
from threads.db import clock
from threads.db.database import in_database

#: What the Auth file is asked about a page that shows a thread.
READS = RULES["GET", "/threads/{}"]
#: How many runs a page replays when it opens a thread, and the maximum that it may request.
REPLAYED, MOST_REPLAYED = 5, 50


@without_atomic_requests
@content_security
@never_cache
@require_GET
async def chat(request: HttpRequest, thread_id: UUID | None = None) -> HttpResponse:
    """The page for a thread or for a new one. Redirects to the login if necessary."""
    try:
        principal = await principal_elsewhere(request)
    except AuthenticationError:
        return _to_login(request)
    except HttpError as refusal:
        return HttpResponse(str(refusal), status=refusal.status_code, content_type="text/plain")
    # Sets the CSRF cookie: the API requires the token from pages that use a session.
    get_token(request)
    return render(request, "runs/chat.html", await _context(principal, thread_id))


async def _context(principal: Principal, thread_id: UUID | None) -> dict[str, Any]:
    user_id = principal.user_id
    username = await in_database(reading.name_of, user_id)
    inspects = await in_database(reading.may_inspect, user_id)
    return {
        "thread_id": thread_id,
        "modules": modules_of("runs/js/chat/main.js"),
        "logout": _reversed("runs_accounts:logout"),
        "password": _reversed("runs_accounts:password"),
        "username": username,
        "settings": {
            "api": reverse("runs_api:api-root"),
            "chat": reverse("runs_pages:chat"),
            "login": resolve_url(settings.LOGIN_URL),
            # Milliseconds of this clock: the browser's may be wrong.
            "now": int(clock.now().timestamp() * 1000),
            "bodyLimit": run_settings.BODY_LIMIT,
            # A page compares the id with that of a page that is fetched later: names may change.
            "user": {"id": str(user_id), "name": username},
            "inspect": _reversed("admin:runs_run_changelist") if inspects else None,
        },
    }


@without_atomic_requests
@content_security
@never_cache
@require_GET
async def plain(request: HttpRequest, thread_id: UUID) -> HttpResponse:
    """A thread's messages as text, for browsers without JavaScript."""
    try:
        principal = await _reader(request, thread_id)
    except AuthenticationError:
        return _to_login(request)
    except HttpError as refusal:
        return HttpResponse(str(refusal), status=refusal.status_code, content_type="text/plain")
    found = await in_database(reading.plain_thread, thread_id, principal=principal)
    return render(request, "runs/plain.html", {**found, "thread_id": thread_id})


@without_atomic_requests
@content_security
@never_cache
@require_GET
async def position(request: HttpRequest, thread_id: UUID) -> JsonResponse:
    """`{"since": number}`: the number after which the events of the last `runs` runs begin."""
    try:
        principal = await _reader(request, thread_id)
    except HttpError as refusal:
        return JsonResponse({"detail": str(refusal)}, status=refusal.status_code)
    asked = request.GET.get("runs", "")
    # Longer ones are refused by `int`.
    is_number = asked.isascii() and asked.isdigit() and len(asked) < 10
    count = min(int(asked), MOST_REPLAYED) if is_number else REPLAYED
    since = await in_database(reading.position_of, thread_id, runs=max(count, 1), principal=principal)
    return JsonResponse({"since": since})


@without_atomic_requests
@content_security
@never_cache
@require_GET
async def runs(request: HttpRequest, thread_id: UUID) -> JsonResponse:
    """The thread's last runs, or those before `before`, and which message each brought: see `reading.runs_of`."""
    try:
        principal = await _reader(request, thread_id)
    except HttpError as refusal:
        return JsonResponse({"detail": str(refusal)}, status=refusal.status_code)
    try:
        before = UUID(request.GET["before"]) if "before" in request.GET else None
    except ValueError:
        return JsonResponse({"detail": "before must be the id of a run."}, status=422)
    return JsonResponse(await in_database(reading.runs_of, thread_id, principal=principal, before=before))


async def _reader(request: HttpRequest, thread_id: UUID) -> Principal:
    """The principal who may read a thread, with the Auth file's filter. Raises HttpError."""
    principal = await principal_elsewhere(request)
    return (await permit(principal, READS, {"thread_id": thread_id}, {})).principal


def _to_login(request: HttpRequest) -> HttpResponse:
    query = urlencode({REDIRECT_FIELD_NAME: request.get_full_path()})
    return HttpResponseRedirect(f"{resolve_url(settings.LOGIN_URL)}?{query}")


def _reversed(name: str) -> str | None:
    """The path of a page, or None if the site does not have it."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return None
