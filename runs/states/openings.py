"""Opens graphs outside of runs, to read or edit a thread, with the configuration of the thread's
newest run.

A factory may build another graph for another configuration or user. If it cannot build the run's
graph again, the thread's state cannot be read. Static graphs do not depend on either, so nothing is
looked up for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import UUID

from runs import graphs
from runs.graphs.runtimes import read_runtime
from runs.graphs.stores import store_of_thread
from runs.identity.auth_file.users import AuthUser
from runs.identity.principals import Principal
from runs.models import Assistant, Run
from threads.db.database import in_database
from threads.models import Thread


@asynccontextmanager
async def open_for_thread(
    name: str, config: Any, access: Literal["threads.read", "threads.update"], user: Any = None
) -> AsyncIterator[Any]:
    """Open a graph to read or edit the thread that `config` names (`threads.state.read.address`).

    Args:
        user: The user that makes the request, if the site has an Auth file (`asking`).
    """
    if graphs.is_factory(name):
        place = config["configurable"]
        configurable = await in_database(_configurable, UUID(place["thread_id"]))
        config = {**config, "configurable": {**configurable, **place, "graph_id": name}}
    runtime = read_runtime(access, store_of_thread(config), user)
    async with graphs.open_graph(name, config, runtime=runtime) as graph:
        yield graph


def asking(principal: object) -> AuthUser | None:
    """A principal as factories see it; None without an Auth file."""
    if isinstance(principal, Principal) and principal.details is not None:
        return principal.auth_user
    return None


def _configurable(thread_id: UUID) -> Mapping[str, Any]:
    """The `configurable` of the thread's newest run; if it has no run (any more), that of the next
    one.
    """
    kwargs = Run.objects.filter(thread=thread_id).order_by("-created_at").values_list("kwargs", flat=True)
    if (newest := kwargs.first()) is not None:
        return (newest.get("config") or {}).get("configurable") or {}
    thread = Thread.objects.filter(id=thread_id).only("config", "metadata").first()
    if thread is None:
        # The thread is about to be created, with a state.
        return {}
    own = thread.config.get("configurable") or {}
    try:
        assistant_id = UUID(str(thread.metadata.get("assistant_id")))
    except ValueError:
        return own
    of_assistant = Assistant.objects.filter(id=assistant_id).values_list("config", flat=True).first() or {}
    return {**(of_assistant.get("configurable") or {}), **own}
