"""An Auth file that marks every created object, and hides all unmarked ones."""

from __future__ import annotations

from typing import Any

from langgraph_sdk import Auth

MARK = {"whose": "owner"}

auth = Auth()


@auth.on
async def marked(ctx: Auth.types.AuthContext, value: Any) -> dict[str, Any] | None:
    if ctx.resource == "store":
        return None
    if ctx.action in ("create", "create_run"):
        value["metadata"].update(MARK)
    return dict(MARK)
