"""An Auth file whose only handler behaves as the test configures it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langgraph_sdk import Auth

READING = frozenset({"read", "search", "get", "list_namespaces"})

auth = Auth()


def raising(ctx: Any, value: Any) -> Any:
    raise KeyError("secret-of-the-file")


#: The handler's answers, by the kind of Auth file.
KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "permissive": lambda ctx, value: None,
    "refusing": lambda ctx, value: False,
    "read-only": lambda ctx, value: ctx.action in READING,
    "hiding": lambda ctx, value: None if ctx.resource == "store" else {"whose": "somebody else's"},
    "raising": raising,
}
#: The current kind.
kind = ["permissive"]


@auth.on
async def answer(ctx: Auth.types.AuthContext, value: Any) -> Any:
    return KINDS[kind[0]](ctx, value)
