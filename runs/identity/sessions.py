"""Users who are logged in to this site."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.sessions.backends.base import SessionBase
from django.utils.crypto import constant_time_compare

from threads.db.database import in_database
from threads.db.ids import UserId


async def logged_in_user_id(cookies: Mapping[str, str]) -> UserId | None:
    """The id of the active user of the cookies' session."""
    session_key = cookies.get(django_settings.SESSION_COOKIE_NAME)
    # A quoted cookie may hold any character, and some databases refuse some of them.
    if not session_key or not session_key.isprintable():
        return None
    return await in_database(session_user_id, session_key)


async def loaded_session(cookies: Mapping[str, str]) -> SessionBase:
    """The session of the cookies, with its values; an empty one if there is none."""
    session = _session(cookies.get(django_settings.SESSION_COOKIE_NAME))
    await in_database(session.keys)
    return session


def _session(session_key: str | None) -> SessionBase:
    session: SessionBase = import_module(django_settings.SESSION_ENGINE).SessionStore(session_key)
    return session


def session_user_id(session_key: str) -> UserId | None:
    """The id of the active user of a session. Only reads: the session is not renewed or rotated."""
    session = _session(session_key)
    backend_path = session.get(BACKEND_SESSION_KEY, "")
    if backend_path not in django_settings.AUTHENTICATION_BACKENDS:
        return None
    user_id = get_user_model()._meta.pk.to_python(session[SESSION_KEY])
    user: Any = load_backend(backend_path).get_user(user_id)
    if user is None:
        return None
    # Changing a password ends the user's earlier sessions.
    proof = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user.pk if any(constant_time_compare(proof, each) for each in hashes) else None
