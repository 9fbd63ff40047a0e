"""A request's principal, and whether it may do what it asks for.

The API is served without Django's middleware, so this also checks what the middleware would: the Host header, and
that a browser's request comes from this site when the browser itself added what authenticates it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast
from uuid import UUID

from django.http import HttpRequest
from ninja.errors import HttpError

from runs.conf import settings
from runs.identity.auth_file import configured
from runs.identity.auth_file.permission import SAFE_METHODS, body_of, permitted, require_scope
from runs.identity.auth_file.rules import Rule, rule_for
from runs.identity.authentication import STUDIO_DETAILS, authenticated
from runs.identity.credentials import Credentials, Proof, identified
from runs.identity.csrf import csrf_failure
from runs.identity.origins import may_borrow
from runs.identity.principals import READ, WRITE, Principal
from runs.identity.standing import Standing
from runs.requests import limits
from threads.db.database import in_database

#: A client may ask that its leaving cancels the run it reads, and then reading changes something.
CANCELS = "cancel_on_disconnect"
NO = frozenset({"", "0", "false", "f", "no", "n", "off"})
#: What a browser says of a request that no other site's page has made (`Sec-Fetch-Site`).
OWN_REQUESTS = frozenset({"same-origin", "none"})
#: What a page has to add itself.
SHOWN = frozenset({"Authorization", "X-Api-Key"})


async def principal_of(request: HttpRequest) -> Principal:
    """Return the principal of a request, who may do what the request's route does.

    Raises:
        AuthenticationError: 401, nobody has shown who they are.
        HttpError: 403, a browser was sent here by another site, the key's scopes do not reach that far, or the Auth
            file refuses; 404, its filter hides the thread.
        LimitReached: The principal has as many threads, or open streams, as it may have.
        InvalidRequest: An Auth file has to see a body, and it is no JSON.
        DisallowedHost: The Host header is not one of `ALLOWED_HOSTS`.
    """
    request.get_host()
    file = configured.current()
    credentials = credentials_of(request)
    principal, proof = await identified(credentials, _authenticator(file, credentials, request))
    if principal.details is STUDIO_DETAILS:
        # What Studio says about itself proves nothing: any page can say it.
        proof = Proof.LOCAL
    refuse_other_sites(request, proof)
    rule = rule_of(request)
    if rule is not None and rule.command:
        # Each command has a rule of its own, which its session asks (`runs.api.sessions.session`).
        return principal
    require_scope(principal, needed_scope(request, rule))
    await limit(principal, rule)
    return principal if file is None else await permitted(request, principal, rule)


async def identify(request: HttpRequest) -> None:
    """Raise like `principal_of` if nobody has shown who asks. For what no view answers."""
    request.get_host()
    credentials = credentials_of(request)
    await identified(credentials, _authenticator(configured.current(), credentials, request))


def standing_of(request: HttpRequest, thread_id: UUID | None = None) -> Standing:
    """What tells whether the principal of an authenticated request still holds, while its response goes on."""
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
        "path": request.path,
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
    match = request.resolver_match
    return rule_for(request.method or "", match.route) if match is not None else None


async def limit(principal: Principal, rule: Rule | None) -> None:
    """Raise LimitReached if the route is about one thread, or one open stream, more than the principal may have."""
    if rule is None:
        return
    if rule.makes_thread and not limits.has_room(principal.user_id):
        await in_database(limits.check_threads, principal.user_id)
    if rule.stays:
        limits.hold_connection(principal.user_id)


def refuse_other_sites(request: HttpRequest, proof: Proof) -> None:
    """Raise a 403 if another site's page may be behind a request that changes something, or that the local user makes."""
    changes = request.method not in SAFE_METHODS or may_cancel(request)
    if changes and proof is Proof.SESSION and (reason := csrf_failure(request)):
        raise HttpError(403, f"CSRF check failed: {reason}")
    local = proof is Proof.LOCAL
    # An Auth file may go by cookies.
    by_cookies = (
        changes and proof is Proof.AUTH_FILE and bool(request.COOKIES) and not SHOWN & request.headers.keys()
    )
    origin = request.META.get("HTTP_ORIGIN")
    borrowed = may_borrow(origin, settings.CORS_ORIGINS, host=request.META.get("HTTP_HOST"), local=local)
    # A page that only embeds something, such as a picture, is no origin to the browser.
    embedded = (
        changes and origin is None and request.META.get("HTTP_SEC_FETCH_SITE", "none") not in OWN_REQUESTS
    )
    if (local or by_cookies) and (not borrowed or embedded):
        raise HttpError(403, "Another site's pages cannot act with what the browser adds.")


def may_cancel(request: HttpRequest) -> bool:
    """Whether the client asks that its leaving cancels a run; stock clients also say that it does not."""
    return any(value.lower() not in NO for value in request.GET.getlist(CANCELS))


def needed_scope(request: HttpRequest, rule: Rule | None) -> str:
    if may_cancel(request):
        return WRITE
    if rule is None:
        return READ if request.method in SAFE_METHODS else WRITE
    return rule.scope
