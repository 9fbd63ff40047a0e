"""Where a server under test kills itself: `FAILPOINT` names the point, and the process is gone when it comes by."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.apps import AppConfig
from django.db import transaction


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def dying(*args: Any, **kwargs: Any) -> Any:
        die()

    return dying


def after_commit(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def dying(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        transaction.on_commit(die)
        return result

    return dying


#: Name -> (the transition that it is about, where in it the process dies).
POINTS = {
    #: A run was claimed, and nothing of it has happened yet.
    "claimed": ("claim", after_commit),
    #: All checkpoints have landed; the transaction with the final status is open and will never be committed.
    "settling": ("settle", before),
    #: The final status is committed, and nobody has been told.
    "settled": ("settle", after_commit),
}


class Failpoint(AppConfig):
    """Arms the failpoint of this process, if it has one."""

    name = "tests.server.failpoint"

    def ready(self) -> None:
        if point := os.environ.get("FAILPOINT"):
            from runs.models import Run
            from runs.querysets import RunQuerySet

            method, wrap = POINTS[point]
            for owner in (RunQuerySet, Run):  # a run that is claimed with its admission has no row yet
                if method in vars(owner):
                    setattr(owner, method, wrap(getattr(owner, method)))
