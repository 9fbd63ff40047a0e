"""A site's Auth file: the `langgraph_sdk.Auth` object that `auth` of its langgraph.json names (reference API §9)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from langgraph_sdk import Auth

from runs.conf import settings
from runs.exceptions import RunsError
from runs.graphs.loading import describe, import_object
from runs.identity.auth_file.cache import AuthCache


class AuthFileError(RunsError):
    """The site's Auth file cannot be used; all requests are refused."""


class NoConfiguration(AuthFileError):
    """The langgraph.json that may configure an Auth file cannot be read."""


@dataclass(frozen=True, slots=True)
class AuthFile:
    auth: Auth
    #: Whether Studio on this machine may act as the local user.
    studio: bool
    #: Whom it has authenticated, if the langgraph.json asks for that.
    cache: AuthCache | None = None
    #: Additions to the API's document: `securitySchemes`, `security` and `paths`.
    openapi: Mapping[str, Any] = field(default_factory=dict)

    @property
    def authenticator(self) -> Callable[..., Any] | None:
        return self.auth._authenticate_handler

    def handler(self, resource: str, action: str) -> Callable[..., Any] | None:
        """The most specific handler for an action on a resource; the last registered wins."""
        for key in ((resource, action), (resource, "*"), ("*", action)):
            if found := self.auth._handlers.get(key):
                return found[-1]
        return self.auth._global_handlers[-1] if self.auth._global_handlers else None


def current() -> AuthFile | None:
    """The site's Auth file, or None if it has none.

    Raises AuthFileError if the file cannot be used: the server then refuses requests instead of
    ignoring the file.
    """
    return _load(str(settings.LANGGRAPH_JSON)) if settings.LANGGRAPH_JSON else None


@lru_cache(maxsize=8)
def _load(path: str) -> AuthFile | None:
    file = Path(path).resolve()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoConfiguration(f"{file} cannot be read: {error}.") from error
    entry = content.get("auth") if isinstance(content, dict) else None
    if not entry:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise AuthFileError(f'\'auth\' of {file} needs a path: {{"path": "./auth.py:auth"}}.')
    try:
        auth = import_object(entry["path"], folder=file.parent)
    except (Exception, SystemExit) as error:
        raise AuthFileError(
            f"{entry['path']!r}, 'auth' of {file}, cannot be imported: {describe(error)}."
        ) from error
    if not isinstance(auth, Auth):
        raise AuthFileError(f"{entry['path']!r}, 'auth' of {file}, is no langgraph_sdk.Auth.")
    return AuthFile(
        auth,
        studio=not entry.get("disable_studio_auth", False),
        cache=AuthCache.of(entry.get("cache")),
        openapi=entry.get("openapi") or {},
    )


async def call(function: Callable[..., Any], available: dict[str, Any]) -> Any:
    """Call a function with the available arguments that its signature names."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        wanted = available
    else:
        wanted = {each.name: available[each.name] for each in parameters if each.name in available}
    result = function(**wanted)
    return await result if inspect.isawaitable(result) else result
