"""The excerpt of a log in a failed test's report."""

from __future__ import annotations

from tests.processes import logs


def line(text: str, level: str = "INFO") -> str:
    return f"2026-01-01 00:00:00,000 {level} runs: {text}"


TRACEBACK = [
    "Traceback (most recent call last):",
    *(f"  frame {number}" for number in range(30)),
    "KeyError: 1",
]


def test_a_log_without_an_alarm_has_none_and_an_allowed_one_is_none() -> None:
    log = "\n".join([line("fine"), line("refused", "ERROR")])
    assert logs.alarms(log, allowed="refused") == ""
    assert logs.alarms(log).splitlines()[0] == line("refused", "ERROR")


def test_an_alarm_comes_with_the_end_of_its_traceback_first_and_short() -> None:
    before = [line(f"step {number}") for number in range(100)]
    shown = logs.alarms("\n".join([*before, line("failed", "ERROR"), *TRACEBACK, line("after")])).splitlines()
    assert shown[0] == line("failed", "ERROR") + " KeyError: 1"
    assert "  frame 29" in shown
    assert "  frame 1" not in shown
    assert len(shown) < 30
    assert line("step 99") in shown
    assert line("after") not in shown


def test_a_traceback_is_an_alarm_although_its_record_is_allowed() -> None:
    log = "\n".join([line("failed", "ERROR"), *TRACEBACK])
    assert "KeyError: 1" in logs.alarms(log, allowed="failed")


def test_many_alarms_are_counted_and_long_lines_are_cut() -> None:
    shown = logs.alarms("\n".join(line("x" * 5000, "ERROR") for _ in range(50)))
    assert "and 47 more alarms" in shown
    assert len(shown) < 10_000


def test_the_tail_of_a_log_is_its_end() -> None:
    log = "\n".join([*(line(str(number)) for number in range(100)), line("last"), *TRACEBACK])
    shown = logs.tail(log).splitlines()
    assert len(shown) == 25
    assert shown[-1] == "KeyError: 1"
    assert line("last") in shown
