"""An Auth file that knows its users, and has no handler: on LangGraph Server, everybody may do everything."""

from __future__ import annotations

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def who(authorization: str | None) -> str:
    return (authorization or "nobody").removeprefix("Bearer ")
