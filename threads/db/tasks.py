"""Tasks that outlive their creator."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def spawn(coroutine: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """Start a task in a fresh context.

    In its creator's context it would inherit and keep a request's thread and database connection
    (asgiref).
    """
    return asyncio.create_task(coroutine, name=name, context=contextvars.Context())
