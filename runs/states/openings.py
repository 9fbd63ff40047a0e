"""How graphs are opened outside of runs, to read or to edit a thread: with the configuration of the thread's newest run.

A factory may build another graph for another configuration, or for another user; one that cannot be built again as it
was for the run has a state that nobody can read. Static graphs are the same for everybody, and nothing is looked up.
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
        user: Who asks, if the site has an Auth file (`asking`).
    """
    if graphs.is_factory(name):
        place = config["configurable"]
        configurable = await in_database(_configurable, UUID(place["thread_id"]))
        config = {**config, "configurable": {**configurable, **place, "graph_id": name}}
    runtime = read_runtime(access, store_of_thread(config), user)
    async with graphs.open_graph(name, config, runtime=runtime) as graph:
        yield graph


def asking(principal: object) -> AuthUser | None:
    """A principal as factories see it; None where no Auth file says who it is."""
    if isinstance(principal, Principal) and principal.details is not None:
        return principal.auth_user
    return None


def _configurable(thread_id: UUID) -> Mapping[str, Any]:
    """What the thread's newest run was executed with; if it has none (any more), what the next one will be."""
    kwargs = Run.objects.filter(thread=thread_id).order_by("-created_at").values_list("kwargs", flat=True)
    if (newest := kwargs.first()) is not None:
        return (newest.get("config") or {}).get("configurable") or {}
    thread = Thread.objects.filter(id=thread_id).only("config", "metadata").first()
    if thread is None:
        # One that is about to be made, with a state.
        return {}
    own = thread.config.get("configurable") or {}
    try:
        assistant_id = UUID(str(thread.metadata.get("assistant_id")))
    except ValueError:
        return own
    of_assistant = Assistant.objects.filter(id=assistant_id).values_list("config", flat=True).first() or {}
    return {**(of_assistant.get("configurable") or {}), **own}
