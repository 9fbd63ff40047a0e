"""The demo agent's environment variables, which are read at each use, and its progress events."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer

DEFAULT_DELAY = 0.01
NODES = ("greet", "plan", "research", "ask", "search", "summarise", "draft", "review", "report")

logger = logging.getLogger(__name__)


def delay() -> float:
    """Seconds between two pieces of a streamed message (`DEMO_DELAY`)."""
    value = os.environ.get("DEMO_DELAY", "").strip()
    try:
        seconds = float(value) if value else DEFAULT_DELAY
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 60:
        raise ValueError(f"DEMO_DELAY must be a number of seconds from 0 to 60, not {value!r}.")
    return seconds


def crash_if_asked(config: RunnableConfig) -> None:
    """Kill this process when it enters the node that `DEMO_CRASH_AT` names, on a run's first attempt only.

    The server numbers the attempts of a run in `metadata.run_attempt`. Without that number, a first
    attempt cannot be distinguished from a resumed one, so the process is not killed.
    """
    name = os.environ.get("DEMO_CRASH_AT", "").strip()
    if not name:
        return
    if name not in NODES:
        raise ValueError(f"DEMO_CRASH_AT must be one of {', '.join(NODES)}, not {name!r}.")
    metadata = config.get("metadata", {})
    path = str(metadata.get("langgraph_checkpoint_ns", "")).split("|")
    if metadata.get("run_attempt") == 1 and name in {part.partition(":")[0] for part in path}:
        logger.warning("Killing this process at node %s, because DEMO_CRASH_AT says so", name)
        os.kill(os.getpid(), signal.SIGKILL)


def progress(node: str, message: str, **details: Any) -> None:
    """Send a progress event to the run's `custom` stream."""
    get_stream_writer()({"type": "progress", "node": node, "message": message, **details})
