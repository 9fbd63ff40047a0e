"""Times in the options of commands that look at runs."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime

from runs.lifecycle.reconcile import parse_before


def before_time(text: str) -> datetime:
    try:
        return parse_before(text).astimezone(UTC)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    except OverflowError as error:
        raise ArgumentTypeError(f"{text!r} is out of range.") from error
