"""The Auth file of the servers under test: keys are names, users see rows with their name."""

from __future__ import annotations

from typing import Any

from langgraph_sdk import Auth

from tests.chaos.ledger import USERS

auth = Auth()


@auth.authenticate
async def who(headers: dict[bytes, bytes]) -> dict[str, Any]:
    name = headers.get(b"x-api-key", b"").decode()
    if name not in USERS:
        raise Auth.exceptions.HTTPException(status_code=401, detail="Nobody")
    return {"identity": name}


@auth.on.threads
async def own(ctx: Auth.types.AuthContext, value: Any) -> dict[str, str]:
    if ctx.action in ("create", "create_run"):
        value.setdefault("metadata", {})["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}
