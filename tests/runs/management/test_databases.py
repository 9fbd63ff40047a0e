"""A server's wait for its database: what ends by itself is waited for, a refusal is not."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.core.management.base import CommandError

from runs.management import databases
from runs.management.databases import wait_for_database


class Answers:
    """Connections that fail with these messages, and then succeed."""

    def __init__(self, *failures: str) -> None:
        self.failures = list(failures)

    def connect(self, *_: Any, **__: Any) -> Answers:
        if self.failures:
            raise psycopg.OperationalError(self.failures.pop(0))
        return self

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "connection", SimpleNamespace(vendor="postgresql"))
    monkeypatch.setattr(databases, "BETWEEN", 0.001)
    monkeypatch.setattr("threads.checkpoints.postgres.storage.connection_string", lambda: "")


def test_what_ends_by_itself_is_waited_for_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(
        "connection refused",
        "connection timeout expired",
        "FATAL:  the database system is starting up",
        "FATAL:  sorry, too many clients already",
    )
    monkeypatch.setattr(psycopg, "connect", answers.connect)
    said: list[str] = []
    wait_for_database(said.append)
    assert said == ["The database cannot be reached yet: connection refused"]
    assert answers.failures == []


@pytest.mark.parametrize(
    "refusal", ['FATAL:  password authentication failed for user "x"', 'FATAL:  database "y" does not exist']
)
def test_a_refusal_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch, refusal: str) -> None:
    answers = Answers(refusal, "never asked")
    monkeypatch.setattr(psycopg, "connect", answers.connect)
    with pytest.raises(CommandError, match="cannot be reached: FATAL"):
        wait_for_database(print)
    assert answers.failures == ["never asked"]


def test_the_wait_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "PATIENCE", 0.05)
    monkeypatch.setattr(psycopg, "connect", Answers(*["connection refused"] * 1000).connect)
    began = time.monotonic()
    with pytest.raises(CommandError, match="cannot be reached: connection refused"):
        wait_for_database(lambda said: None)
    assert time.monotonic() - began < 5


def test_sqlite_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "connection", SimpleNamespace(vendor="sqlite"))
    monkeypatch.setattr(psycopg, "connect", Answers("never asked").connect)
    wait_for_database(print)
