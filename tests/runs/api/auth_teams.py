"""An Auth file that shares all that a team's members create among them."""

from __future__ import annotations

from typing import Any

from langgraph_sdk import Auth

#: The team of each identity.
teams: dict[str, str] = {}

auth = Auth()


@auth.on
async def of_the_team(ctx: Auth.types.AuthContext, value: Any) -> dict[str, str] | None:
    team = {"whose": teams.get(ctx.user.identity, "nobody")}
    if ctx.resource == "store":
        value["namespace"] = (team["whose"], *value["namespace"])
        return None
    if ctx.action in ("create", "create_run"):
        value["metadata"].update(team)
    return team
