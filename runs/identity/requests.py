"""A request's principal, and whether it may do what it asks for.

The API is served without Django's middleware, so this also checks what the middleware would: the Host header, and
that a browser's request comes from this site when the browser itself added what authenticates it.
"""

from __future__ import annotations

from django.http import HttpRequest
from ninja.errors import HttpError

from runs.identity.credentials import Credentials, Proof, identified
from runs.identity.origins import csrf_failure, from_elsewhere
from runs.identity.principals import READ, WRITE, Principal
from runs.identity.rules import Rule, rule_for

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: A client may ask that its leaving cancels the run it reads, and then reading changes something.
CANCELS = "cancel_on_disconnect"


async def principal_of(request: HttpRequest) -> Principal:
    """Return the principal of a request, who may do what the request's route does.

    Raises:
        AuthenticationError: 401, nobody has shown who they are.
        HttpError: 403, a browser was sent here by another site, or the key's scopes do not reach that far.
        DisallowedHost: The Host header is not one of `ALLOWED_HOSTS`.
    """
    request.get_host()
    principal, proof = await identified(credentials_of(request))
    refuse_other_sites(request, proof)
    require_scope(principal, needed_scope(request, rule_of(request)))
    return principal


def credentials_of(request: HttpRequest) -> Credentials:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Credentials(headers, request.COOKIES, request.META.get("REMOTE_ADDR"))


def rule_of(request: HttpRequest) -> Rule | None:
    match = request.resolver_match
    return rule_for(request.method or "", match.route) if match is not None else None


def refuse_other_sites(request: HttpRequest, proof: Proof) -> None:
    """Raise a 403 if another site's page may be behind a request that changes something."""
    if request.method in SAFE_METHODS and CANCELS not in request.GET:
        return
    if proof is Proof.SESSION and (reason := csrf_failure(request)):
        raise HttpError(403, f"CSRF check failed: {reason}")
    if proof is Proof.LOCAL and from_elsewhere(request.META.get("HTTP_ORIGIN")):
        raise HttpError(403, "Another site's pages cannot act as the local user.")


def needed_scope(request: HttpRequest, rule: Rule | None) -> str:
    if CANCELS in request.GET:
        return WRITE
    if rule is None:
        return READ if request.method in SAFE_METHODS else WRITE
    return rule.scope


def require_scope(principal: Principal, scope: str) -> None:
    """Raise a 403 if a principal's key is not allowed that much."""
    if scope not in principal.scopes:
        has = " and ".join(sorted(principal.scopes)) or "nothing"
        raise HttpError(403, f"The API key may {has}; this needs a key with the scope '{scope}'.")
