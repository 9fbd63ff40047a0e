"""The authentication and authorisation of requests.

The API is served without Django's middleware, so this also does the middleware's checks: the Host
header, and CSRF for requests whose credentials the browser has added.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest
from ninja.errors import HttpError

from runs.conf import settings
from runs.identity.auth_file import configured
from runs.identity.auth_file.permission import (
    SAFE_METHODS,
    body_of,
    permit,
    permitted,
    query_with,
    require_scope,
)
from runs.identity.auth_file.rules import CANCEL, Rule, rule_for
from runs.identity.auth_file.values import identifier
from runs.identity.authentication import STUDIO_DETAILS, authenticated
from runs.identity.credentials import Credentials, Proof, identified
from runs.identity.csrf import csrf_failure
from runs.identity.origins import may_borrow
from runs.identity.principals import READ, WRITE, Principal
from runs.identity.standing import Standing
from runs.models import CancelAction, Run
from runs.requests import limits
from runs.requests.idempotency import of_request
from runs.requests.mount import path_of, route_of
from runs.requests.parsing import BODY
from threads.db.database import in_database
from threads.db.time_limits import searching_for

#: With this parameter a disconnect cancels the run, so that reading changes something.
CANCELS = "cancel_on_disconnect"
#: The attribute of such a request for its principal as far as it may cancel the run.
CANCELLER = "canceller"
NO = frozenset({"", "0", "false", "f", "no", "n", "off"})
#: Values of `Sec-Fetch-Site` for a request that no other site's page has sent.
OWN_REQUESTS = frozenset({"same-origin", "none"})
#: Headers that only the page itself can add.
SHOWN = frozenset({"Authorization", "X-Api-Key"})


async def principal_of(request: HttpRequest) -> Principal:
    """Authenticate and authorise a request; return its principal.

    Raises:
        AuthenticationError: 401, the credentials are missing or invalid.
        HttpError: 403, another site's page sent the request, or the key's scopes or the Auth file
            do not allow it; 404, the Auth file's filter hides the thread.
        LimitReached: The principal has the maximum of threads or of open streams.
        InvalidRequest: The body is not JSON, but an Auth file must see it.
        DisallowedHost: The Host header is not one of `ALLOWED_HOSTS`.
    """
    request.get_host()
    file = configured.current()
    credentials = credentials_of(request)
    principal, proof = await identified(credentials, _authenticator(file, credentials, request))
    searching_for(principal.user_id)
    if principal.details is STUDIO_DETAILS:
        # Studio's header proves nothing, because any page can send it.
        proof = Proof.LOCAL
    await refuse_other_sites(request, proof)
    rule = rule_of(request)
    if rule is not None and rule.command:
        # The session checks each command by its own rule (`runs.api.sessions.session`).
        return principal
    require_scope(principal, needed_scope(request, rule))
    await limit(request, principal, rule)
    if file is None:
        return principal
    allowed = await permitted(request, principal, rule)
    _bring_to_view(request, allowed.body)
    # Afterwards, because a handler may have taken the parameter out.
    if may_cancel(request):
        path = await in_database(_path_of_run, request, allowed.principal)
        body: dict[str, Any] = {"action": CancelAction.INTERRUPT}
        canceller = await permit(principal, CANCEL, path, body)
        setattr(request, CANCELLER, canceller.principal)
    return allowed.principal


def _path_of_run(request: HttpRequest, principal: Principal) -> dict[str, Any]:
    """The parameters of the route that cancels the run which a request names, also without its thread."""
    match = request.resolver_match
    path = dict(match.kwargs) if match else {}
    run_id = identifier(path.get("run_id"))
    if "thread_id" in path or not isinstance(run_id, UUID):
        return path
    runs = Run.objects.for_principal(principal).filter(id=run_id)
    thread_id = runs.values_list("thread_id", flat=True).first()
    return path if thread_id is None else {"thread_id": thread_id, **path}


def canceller_of(request: HttpRequest) -> Principal:
    """The principal of an authenticated request, as far as it may cancel runs."""
    return cast(Principal, getattr(request, CANCELLER, request.auth))  # type: ignore[attr-defined]


def _bring_to_view(request: HttpRequest, body: Any) -> None:
    """Give the view the query or the body that the Auth file's handlers left."""
    if request.method not in SAFE_METHODS:
        # An absent body stays absent: the view decides whether it needs one.
        if request.body:
            setattr(request, BODY, body)
    elif body != request.GET.dict():
        request.GET = query_with(request.GET, body)  # type: ignore[assignment]


async def identify(request: HttpRequest) -> None:
    """Raise like `principal_of` if the request is not authenticated. For paths without a view."""
    request.get_host()
    credentials = credentials_of(request)
    await identified(credentials, _authenticator(configured.current(), credentials, request))


async def principal_elsewhere(request: HttpRequest) -> Principal:
    """Return the principal of a request for a route that is not the API's, of which the Auth file's rules
    know nothing. Raises like `principal_of`.
    """
    request.get_host()
    credentials = credentials_of(request)
    principal, proof = await identified(
        credentials, _authenticator(configured.current(), credentials, request)
    )
    await refuse_other_sites(request, Proof.LOCAL if principal.details is STUDIO_DETAILS else proof)
    require_scope(principal, needed_scope(request, None))
    return principal


def standing_of(request: HttpRequest, thread_id: UUID | None = None) -> Standing:
    """Checks whether an authenticated request's principal is still valid during a long response."""
    credentials = credentials_of(request)
    principal = cast(Principal, request.auth)  # type: ignore[attr-defined]
    ask = _authenticator(configured.current(), credentials, request)
    return Standing(principal, credentials, ask, thread_id=thread_id)


def _authenticator(
    file: configured.AuthFile | None, credentials: Credentials, request: HttpRequest
) -> Callable[[], Awaitable[Principal]] | None:
    if file is None or file.authenticator is None:
        return None
    match = request.resolver_match
    available = {
        "request": request,
        "method": request.method,
        "path": path_of(request),
        "path_params": dict(match.kwargs) if match else {},
        "query_params": request.GET.dict(),
    }

    async def ask() -> Principal:
        return await authenticated(file, credentials, {**available, "body": body_of(request)})

    return ask


def credentials_of(request: HttpRequest) -> Credentials:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Credentials(headers, request.COOKIES, request.META.get("REMOTE_ADDR"))


def rule_of(request: HttpRequest) -> Rule | None:
    route = route_of(request.resolver_match)
    return rule_for(request.method or "", route) if route is not None else None


async def limit(request: HttpRequest, principal: Principal, rule: Rule | None) -> None:
    """Raise LimitReached if a new thread or open stream would exceed the principal's limit."""
    if rule is None:
        return
    if rule.makes_thread and not limits.has_room(principal.user_id):
        again = of_request(request, principal.user_id)
        # A repeated request creates nothing.
        if again is None or not await in_database(again.known):
            await in_database(limits.check_threads, principal.user_id)
    if rule.stays:
        limits.hold_connection(principal.user_id)


async def refuse_other_sites(request: HttpRequest, proof: Proof) -> None:
    """Raise a 403 if another site's page may have sent the request.

    Applies to requests that change something, and to all requests of the local user.
    """
    changes = request.method not in SAFE_METHODS or may_cancel(request)
    if changes and proof is Proof.SESSION and (reason := await csrf_failure(request)):
        raise HttpError(403, f"CSRF check failed: {reason}")
    local = proof is Proof.LOCAL
    # An Auth file may use cookies.
    by_cookies = (
        changes and proof is Proof.AUTH_FILE and bool(request.COOKIES) and not SHOWN & request.headers.keys()
    )
    origin = request.META.get("HTTP_ORIGIN")
    host = request.META.get("HTTP_HOST")
    borrowed = may_borrow(
        origin, settings.CORS_ORIGINS, host=host, scheme=request.scheme or "http", local=local
    )
    # Browsers send no Origin for embedded resources, such as pictures.
    embedded = (
        changes and origin is None and request.META.get("HTTP_SEC_FETCH_SITE", "none") not in OWN_REQUESTS
    )
    if (local or by_cookies) and (not borrowed or embedded):
        raise HttpError(403, "Another site's pages cannot act with what the browser adds.")


def may_cancel(request: HttpRequest) -> bool:
    """Whether a disconnect cancels the run. Stock clients also send an explicit "no"."""
    return any(value.lower() not in NO for value in request.GET.getlist(CANCELS))


def needed_scope(request: HttpRequest, rule: Rule | None) -> str:
    if may_cancel(request):
        return WRITE
    if rule is None:
        return READ if request.method in SAFE_METHODS else WRITE
    return rule.scope
