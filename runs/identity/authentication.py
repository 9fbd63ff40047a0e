"""Authentication by an Auth file, and the site's user for its identity."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from langgraph_sdk import Auth
from ninja.errors import AuthenticationError, HttpError

from runs.identity.auth_file.configured import AuthFile, call
from runs.identity.credentials import Credentials
from runs.identity.local import local_principal, may_be_local
from runs.identity.principals import Principal
from runs.models import AuthIdentity
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import UserId

logger = logging.getLogger(__name__)

#: The header by which Studio identifies itself.
STUDIO = ("x-auth-scheme", "langsmith")
STUDIO_DETAILS = {
    "identity": "langgraph-studio-user",
    "permissions": ["authenticated"],
    "kind": "StudioUser",
}
PROPERTIES = ("identity", "display_name", "is_authenticated", "permissions")


async def authenticated(file: AuthFile, credentials: Credentials, available: dict[str, Any]) -> Principal:
    """Authenticate a client by the Auth file.

    Args:
        available: Arguments of the file's function by name, in addition to `headers` and `authorization`.

    Raises:
        HttpError: The function's own error; 403 for any other failure in it.
    """
    name, value = STUDIO
    if file.studio and credentials.headers.get(name) == value:
        if may_be_local(credentials.peer, credentials.headers):
            local = await local_principal()
            return Principal(local.user_id, details=STUDIO_DETAILS)
        raise AuthenticationError(
            message="Studio needs no credentials on this machine itself, and only there."
        )
    details = file.cache.find(credentials.headers) if file.cache is not None else None
    if details is None:
        details = await _asked(file, credentials, available)
        if file.cache is not None:
            file.cache.keep(credentials.headers, details)
    user_id = await in_database(user_id_of, details["identity"])
    if user_id is None:
        raise HttpError(403, "This user is not active.")
    return Principal(user_id, details=details)


async def _asked(file: AuthFile, credentials: Credentials, available: dict[str, Any]) -> dict[str, Any]:
    """What the Auth file's function says about a client. Raises like `authenticated`."""
    assert file.authenticator is not None
    encoded = {
        key.encode("latin-1"): each.encode("latin-1", "replace") for key, each in credentials.headers.items()
    }
    available |= {"headers": encoded, "authorization": credentials.headers.get("authorization")}
    try:
        details = details_of(await call(file.authenticator, available))
    except Auth.exceptions.HTTPException as refusal:
        raise HttpError(refusal.status_code, str(refusal.detail)) from None
    except Exception:
        logger.warning("The Auth file could not authenticate a client.", exc_info=True)
        raise HttpError(403, "Authentication failed.") from None
    if not details.get("is_authenticated", True):
        raise AuthenticationError(message="Authentication is required.")
    return details


def details_of(user: Any) -> dict[str, Any]:
    """The result of an Auth file's function as JSON, because another process may execute the run.

    Raises ValueError if it has no valid identity.
    """
    if isinstance(user, str):
        user = {"identity": user}
    elif hasattr(user, "model_dump"):
        user = user.model_dump()
    elif is_dataclass(user) and not isinstance(user, type):
        user = asdict(user)
    elif not isinstance(user, Mapping):
        user = {name: getattr(user, name) for name in PROPERTIES if hasattr(user, name)}
    details: dict[str, Any] = orjson.loads(
        orjson.dumps(dict(user), default=_jsonable, option=orjson.OPT_NON_STR_KEYS)
    )
    identity = details.get("identity")
    if not isinstance(identity, str) or not 0 < len(identity) <= 255 or "\0" in identity:
        raise ValueError(
            "The Auth file's authenticate must return an identity, a text of 1 to 255 characters."
        )
    return details


def _jsonable(value: Any) -> Any:
    return list(value) if isinstance(value, set | frozenset | tuple) else str(value)


def user_id_of(identity: str) -> UserId | None:
    """The id of the site's user for an identity; None if that user is not active.

    The user is created on first use, and cannot log in. It is never an existing account: the
    identity "admin" is not the user "admin". A user whose row of the identity is gone, because
    somebody deleted it by hand, counts as not active.
    """
    identities = AuthIdentity.objects.filter(identity=identity).select_related("user")
    known = identities.first()
    if known is None:
        try:
            known = _made(identity)
        except IntegrityError:
            # A concurrent request has created it.
            known = identities.first()
            if known is None and _without_identity(identity):
                return None
            if known is None:
                raise
    user: Any = known.user
    return user.pk if user.is_active else None


def known_details(user_id: UserId) -> dict[str, str] | None:
    """The details of an Auth file's user for a run without a client; None for other users."""
    identity = AuthIdentity.objects.filter(user_id=user_id).values_list("identity", flat=True).first()
    return {"identity": identity} if identity is not None else None


def _without_identity(identity: str) -> bool:
    """Whether the user of an identity is there, whose row names no identity."""
    model = get_user_model()
    named = {model.USERNAME_FIELD: username_for(identity)}
    return model._default_manager.filter(**named).exists()


@transaction.atomic
def _made(identity: str) -> AuthIdentity:
    model = get_user_model()
    user = model(**{model.USERNAME_FIELD: username_for(identity)})
    user.set_unusable_password()
    user.save(force_insert=True)
    return AuthIdentity.objects.create(identity=identity, user=user, created_at=clock.now())


def username_for(identity: str) -> str:
    """A readable username that is unique to the identity."""
    readable = re.sub(r"[^\w.+-]", "-", identity)[:80]
    return f"{readable}+{hashlib.sha256(identity.encode()).hexdigest()[:12]}@auth-file"
