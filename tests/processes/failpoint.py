"""Points at which a server under test kills or freezes itself; `FAILPOINT` names one."""

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


def freezing(call: Callable[..., Any]) -> Callable[..., Any]:
    """Freeze the whole process at the first call, within the transaction.

    Continue when it is woken.
    """
    frozen = False

    @wraps(call)
    def going_on(*args: Any, **kwargs: Any) -> Any:
        nonlocal frozen
        if not frozen:
            frozen = True
            os.kill(os.getpid(), signal.SIGSTOP)
        return call(*args, **kwargs)

    return going_on


def after_commit(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def dying(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        if result != []:  # a claim that found nothing
            transaction.on_commit(die)
        return result

    return dying


#: Name -> (the methods of the transition, the point in it at which the process ends).
POINTS = {
    #: A run was claimed but has not started.
    "claimed": (("claim", "claim_candidates"), after_commit),
    #: A run is being admitted: the process freezes before the commit.
    "admitting": (("claim",), freezing),
    #: All checkpoints have landed; the transaction with the final status is open and will not be committed.
    "settling": (("settle_each",), before),
    #: The same, but the process freezes there, with the thread's row locked.
    "frozen": (("settle_each",), freezing),
    #: The final status is committed, but no notification was sent.
    "settled": (("settle_each",), after_commit),
    #: What a request with a key creates is committed, but was not answered.
    "created": (("record",), after_commit),
}


class Failpoint(AppConfig):
    """Arms the failpoint of this process, if it has one."""

    name = "tests.processes.failpoint"

    def ready(self) -> None:
        if point := os.environ.get("FAILPOINT"):
            from runs.models import Run
            from runs.models.querysets import RunQuerySet
            from runs.requests.idempotency import Once

            methods, wrap = POINTS[point]
            for owner in (RunQuerySet, Run, Once):  # a run that is claimed at its admission has no row yet
                for method in methods:
                    if method in vars(owner):
                        setattr(owner, method, wrap(getattr(owner, method)))
