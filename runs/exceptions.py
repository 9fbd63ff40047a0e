"""What can go wrong around a run. A class's docstring is its message when none is given."""

from __future__ import annotations


class RunsError(Exception):
    """Something went wrong around a run."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class StartupError(RunsError):
    """The server cannot start."""

    def __init__(self, message: str | None = None, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ThreadBusy(RunsError):
    """Thread is already running a task. Wait for it to finish or choose a different multitask strategy."""


class NotFound(RunsError):
    """Not Found"""


class InvalidRequest(RunsError):
    """The request is not valid."""


class LimitReached(RunsError):
    """A limit is reached; try again later."""

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        #: In seconds.
        self.retry_after = retry_after


class RequestTooLarge(RunsError):
    """What the request asks to keep is larger than the site allows."""


class RunTooLarge(RunsError):
    """The run streams more than is allowed."""


class NothingToCancel(RunsError):
    """No runs found to cancel."""


class ServerClosing(RunsError):
    """The server is closing; the run goes on elsewhere. Ask again."""


class ReaderRefused(RunsError):
    """Who reads a stream may not read it any more; who asks again is told why."""


class RunLost(RunsError):
    """This process does not own the run any more; another one took it over, or it was deleted."""
