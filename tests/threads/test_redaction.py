"""Secrets are hidden, in time proportional to the text."""

from __future__ import annotations

import logging
import sys
import time
import timeit
from typing import Any

import pytest

from threads.redaction import HIDDEN, LONGEST_TEXT, RedactingFormatter, redacted, redacted_text


@pytest.mark.parametrize(
    "piece",
    [
        "a-",
        "token ",
        "Bearer ",
        "://",
        "password=\\",
        "x:y@",
        "secret",
        "k1",
        "api_key:",
        '\\\\"',
        "_token",
        "sk-",
    ],
)
def test_no_text_takes_longer_than_in_proportion(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        return min(_timed(text) for _ in range(3))

    short, long = seconds(4_000), seconds(64_000)
    assert long < 0.05 + 100 * short, (
        "sixteen times the text; a quadratic search would take 256 times as long"
    )


def _timed(text: str) -> float:
    began = time.perf_counter()
    redacted_text(text)
    return time.perf_counter() - began


def test_a_text_that_is_too_long_is_cut() -> None:
    text = redacted_text("x" * (LONGEST_TEXT + 5))
    assert text == "x" * LONGEST_TEXT + "… (5 characters more)"


@pytest.mark.parametrize("text, hidden", [
    ("postgres://ada:hunter2@db/site", "postgres://ada:***@db/site"),
    ("redis://:hunter2@cache", "redis://:***@cache"),
    ("pwd=hunter2", "pwd=***"),
    ("sessionid: abc.def", "sessionid: ***"),
    ("AKIAABCDEFGHIJKLMNOP", "***"),
    ("xoxb-123456789-abcdef", "***"),
    ("AIza" + "b" * 35, "***"),
    ("http://example.com:8000/a@b", "http://example.com:8000/a@b"),
    ("max_tokens: 5, token_count=3", "max_tokens: 5, token_count=3"),
])  # fmt: skip
def test_what_looks_like_a_secret_is_hidden_in_a_text(text: str, hidden: str) -> None:
    assert redacted_text(text) == hidden


def test_what_looks_like_a_secret_is_hidden_in_json() -> None:
    looks = "abcdefghij0123456789"
    given = {
        "key": looks,
        "auth": looks,
        "dsn": "x",
        "jwt": "x",
        "secrets": {"a": 1},
        "connection_string": "x",
    }
    assert redacted(given) == dict.fromkeys(given, HIDDEN)
    given_deep: Any = {"jwt": "x", "many": ({"dsn": "x"}, 1)}
    hidden: Any = {"jwt": HIDDEN, "many": [{"dsn": HIDDEN}, 1]}
    for _ in range(sys.getrecursionlimit()):
        given_deep, hidden = [given_deep], [hidden]
    found = redacted(given_deep)
    for _ in range(sys.getrecursionlimit()):
        found, hidden = found[0], hidden[0]
    assert found == hidden
    kept = {"key": "title", "auth": True, "author": looks, "monkey": looks, "max_tokens": 5}
    assert redacted(kept) == kept


def test_no_text_passes_for_a_line_of_the_log() -> None:
    forged = "x\n2026-01-01 INFO runs: all is well\r\x1b[2Jgone\u2028more"
    record = logging.LogRecord("runs", logging.INFO, __file__, 1, "said %s", (forged,), None)
    lines = RedactingFormatter("%(message)s").format(record).splitlines()
    assert lines == ["said x", "    2026-01-01 INFO runs: all is well\\r\\x1b[2Jgone\\u2028more"]


def raised(error: BaseException) -> logging.LogRecord:
    try:
        raise error
    except BaseException:
        return logging.LogRecord("x", logging.ERROR, "x.py", 1, "It failed.", None, sys.exc_info())


def caused(text: str) -> BaseException:
    """An error with long messages everywhere: its own, its cause's, and those of a group's members."""
    error = ExceptionGroup(text, [ValueError(text), ExceptionGroup("inner", [KeyError(text)])])
    error.__cause__ = RuntimeError(text)
    error.__cause__.__context__ = OSError(text)
    return error


def test_a_traceback_is_what_python_shows() -> None:
    record = raised(caused("short"))
    formatter = RedactingFormatter("%(message)s")
    assert formatter.formatException(record.exc_info) == logging.Formatter().formatException(record.exc_info)  # type: ignore[arg-type]


def test_long_messages_in_a_traceback_are_cut_before_they_are_laid_out() -> None:
    formatter = RedactingFormatter("%(message)s")

    def seconds(record: logging.LogRecord, *, repeat: int) -> float:
        # The processor's time, because other tests use it meanwhile.
        return min(
            timeit.repeat(lambda: formatter.format(record), timer=time.thread_time, number=1, repeat=repeat)
        )

    usual = seconds(raised(caused("x" * 4000)), repeat=5)
    for unit in ("\r\n", "\n", "token=", "x"):
        record = raised(caused(unit * (4_000_000 // len(unit))))
        assert seconds(record, repeat=3) < 0.02 + 10 * usual
        assert "characters more)" in formatter.format(record)
        assert len(formatter.format(record)) < 200_000
