"""Auth files that decide the same about all requests, one for each kind of decision."""

from __future__ import annotations

from typing import Any

from langgraph_sdk import Auth

from runs.identity.auth_file.rules import READING

permissive, read_only, hiding, hiding_assistants, hiding_changes, raising, removing, without_threads = (
    Auth() for _ in range(8)
)
create_only = Auth()
#: A filter that no row matches.
NOBODYS = {"whose": "nobody"}


@permissive.on
async def allow(ctx: Auth.types.AuthContext, value: Any) -> None:
    return None


@read_only.on
async def let_read(ctx: Auth.types.AuthContext, value: Any) -> bool:
    return ctx.action in READING


@create_only.on
async def let_create(ctx: Auth.types.AuthContext, value: Any) -> bool:
    return ctx.action == "create"


@hiding.on
async def hide(ctx: Auth.types.AuthContext, value: Any) -> dict[str, str]:
    return dict(NOBODYS)


@hiding_changes.on.threads.update
async def hide_from_changes(ctx: Auth.types.AuthContext, value: Any) -> dict[str, str]:
    return dict(NOBODYS)


@hiding_assistants.on.assistants
async def hide_assistants(ctx: Auth.types.AuthContext, value: Any) -> dict[str, str]:
    return dict(NOBODYS)


@without_threads.on.threads
async def hide_threads(ctx: Auth.types.AuthContext, value: Any) -> dict[str, str]:
    return dict(NOBODYS)


@raising.on
async def fail(ctx: Auth.types.AuthContext, value: Any) -> None:
    raise RuntimeError("secret-of-the-file")


@removing.on
async def remove(ctx: Auth.types.AuthContext, value: Any) -> None:
    for part in (value, value.get("kwargs"), value.get("payload")):
        if isinstance(part, dict):
            part.pop("webhook", None)
