"""A user's store, for a request or a run."""

from __future__ import annotations

from runs.models import Run
from runs.store_settings import configuration
from threads.querysets import Principal
from threads.store.user_store import UserStore
from threads.store.writes import Fence


def store_of(principal: Principal) -> UserStore:
    """A user's store, for a request."""
    return UserStore(principal, configuration())


def store_of_run(run: Run) -> UserStore:
    """The store of a run's user: it writes as long as the run's process owns the thread."""
    return UserStore(run, configuration(), fence=Fence(run.thread_id, run.epoch))
