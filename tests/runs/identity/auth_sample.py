"""An Auth file with a handler of each kind."""

from __future__ import annotations

from typing import Any

from langgraph_sdk import Auth

auth = Auth()
#: (resource, action, identity, value) of each call.
asked: list[tuple[str, str, str, Any]] = []


@auth.authenticate
async def who(authorization: str | None, headers: dict[bytes, bytes], path: str, method: str) -> Any:
    assert isinstance(headers.get(b"host", b""), bytes)
    name = (authorization or "").removeprefix("Bearer ")
    if name == "broken":
        raise KeyError("secret-of-the-file")
    if name == "nobody":
        return {"identity": "nobody", "is_authenticated": False}
    if not name:
        raise Auth.exceptions.HTTPException(status_code=401, detail="Who are you?")
    return {
        "identity": name,
        "permissions": ["threads:write"],
        "github_token": f"token-of-{name}",
        "team": {"a", "b"},
    }


def owner(ctx: Auth.types.AuthContext) -> dict[str, Any]:
    return {"owner": ctx.user.identity}


def note(ctx: Auth.types.AuthContext, value: Any) -> None:
    asked.append((ctx.resource, ctx.action, ctx.user.identity, value))


@auth.on
async def deny(ctx: Auth.types.AuthContext, value: Any) -> bool:
    note(ctx, value)
    return False


@auth.on.threads
async def threads(ctx: Auth.types.AuthContext, value: Any) -> Any:
    note(ctx, value)
    return owner(ctx)


@auth.on.threads.create
async def create(ctx: Auth.types.AuthContext, value: Any) -> Any:
    note(ctx, value)
    assert value["metadata"].get("color") != "red", "No red threads."
    value["metadata"]["owner"] = ctx.user.identity
    return owner(ctx)


@auth.on.threads.create_run
async def create_run(ctx: Auth.types.AuthContext, value: Any) -> Any:
    note(ctx, value)
    if value["kwargs"].get("input") == {"log": ["forbidden"]}:
        raise Auth.exceptions.HTTPException(status_code=402, detail="Pay first.")
    value["metadata"]["owner"] = ctx.user.identity
    return owner(ctx)


@auth.on.assistants.search
async def assistants(ctx: Auth.types.AuthContext, value: Any) -> Any:
    note(ctx, value)
    return {"$or": [{"created_by": "system"}, owner(ctx)]}


@auth.on.store
async def store(ctx: Auth.types.AuthContext, value: Any) -> None:
    value["namespace"] = (ctx.user.identity, *value["namespace"])


@auth.on.crons
async def cron(ctx: Auth.types.AuthContext, value: Any) -> Any:
    note(ctx, value)
    if ctx.action == "create":
        value["metadata"]["owner"] = ctx.user.identity
    return owner(ctx)


@auth.on(resources=["crons"], actions=["read", "search"])
async def crons(ctx: Auth.types.AuthContext, value: Any) -> Any:
    return {"owner": {"$like": "x"}}
