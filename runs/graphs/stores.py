"""A user's store, for a request or a run."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from langchain_core.runnables import RunnableConfig

from runs.conf import settings
from runs.graphs.store_settings import configuration
from runs.models import Run
from threads.db.ids import UserId
from threads.models.querysets import Principal
from threads.store.user_store import UserStore
from threads.store.writes import Fence


def store_of(principal: Principal) -> UserStore:
    """A user's store, for a request."""
    return UserStore(principal, configuration())


@dataclass(frozen=True)
class Owner:
    """The user of a thread or a run, whose graph uses a store."""

    user_id: UserId

    @property
    def shared(self) -> frozenset[str]:
        """Graphs are not asked about: they use the store that an Auth file's users share, if there is one."""
        return frozenset(["store"] if settings.OWNERSHIP == "auth" else [])


def store_of_thread(config: RunnableConfig) -> UserStore | None:
    """The store of the user whose thread a configuration addresses (`threads.state.read.address`);
    None if the configuration names no user.
    """
    user_id = (config.get("metadata") or {}).get("user_id")
    return store_of(Owner(get_user_model()._meta.pk.to_python(user_id))) if user_id is not None else None


def store_of_run(run: Run) -> UserStore:
    """The store of a run's user. It accepts writes as long as the run's process owns the thread."""
    return UserStore(Owner(run.user_id), configuration(), fence=Fence(run.thread_id, run.epoch))
