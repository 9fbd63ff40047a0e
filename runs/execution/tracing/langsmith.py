"""LangSmith: LangChain traces by its variables (`LANGSMITH_TRACING`, …); only what waits at the end is sent here."""

from __future__ import annotations

from langchain_core.tracers.langchain import wait_for_all_tracers
from langsmith.utils import tracing_is_enabled


def enabled() -> bool:
    return tracing_is_enabled() is True


def flush() -> bool:
    """Send what waits; may take as long as LangSmith does."""
    wait_for_all_tracers()
    return True
