"""Exceptions. A class's docstring is its default message."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied


class RunsError(Exception):
    """An error in the handling of runs."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class StartupError(RunsError):
    """The server cannot start."""

    def __init__(self, message: str | None = None, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ThreadBusy(RunsError):
    """Thread is already running a task. Wait for it to finish or choose a different multitask strategy."""


class ThreadLocked(RunsError):
    """Another transaction holds the thread; try again."""


class NotFound(RunsError):
    """Not Found"""


class InvalidRequest(RunsError):
    """The request is not valid."""


class KeyReused(RunsError):
    """This Idempotency-Key was used for another request; use a new key."""


class CreationDeleted(RunsError):
    """What this Idempotency-Key created has been deleted since; use a new key."""


class LimitReached(RunsError):
    """A limit is reached; try again later."""

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        #: In seconds.
        self.retry_after = retry_after


class UserTooLarge(RunsError, PermissionDenied):
    """This user has too much to be deleted in one transaction. Use `manage.py agents users delete`."""


class RequestTooLarge(RunsError):
    """The request would store more than the site allows."""


class RunTooLarge(RunsError):
    """The run streams more than the site allows."""


class NothingToCancel(RunsError):
    """No runs found to cancel."""


class ServerClosing(RunsError):
    """The server is closing; the run continues elsewhere. Try again."""


class ReaderRefused(RunsError):
    """The reader of a stream no longer has access to it; a new request returns the reason."""


class LogRemoved(RunsError):
    """The events of this run are no longer kept."""


class RunLost(RunsError):
    """This process no longer owns the run; another process took it over, or it was deleted."""
