"""Which part of a recovery's time counts."""

from __future__ import annotations

from tests.chaos.recoveries import Loss, Switches, idle_times, recoveries, united, within
from tests.chaos.test_checks import at, event, record

BEGAN = at(0).timestamp()


def seconds(*values: float) -> tuple[float, ...]:
    return tuple(BEGAN + value for value in values)


def test_a_run_goes_on_with_the_first_event_of_its_next_attempt() -> None:
    found, _ = record()
    lost = [Loss("run", 1, at(3.5).timestamp()), Loss("run", 2, at(6).timestamp())]
    [recovery] = recoveries(lost, found.events, [])
    assert (recovery.loss, recovery.took, recovery.counted) == (lost[0], 1.5, 1.5)


def test_a_run_that_is_lost_again_is_measured_from_its_last_loss() -> None:
    found, _ = record()
    lost = [Loss("run", 1, at(2).timestamp()), Loss("run", 1, at(4).timestamp())]
    assert [each.took for each in recoveries(lost, found.events, [])] == [1.0]


def test_time_in_which_nothing_could_go_on_does_not_count() -> None:
    events = {"run": [event(3, 1, "metadata", {"attempt": 2}, 10)]}
    idle = [(BEGAN - 5, BEGAN + 1), (BEGAN + 3, BEGAN + 4), (BEGAN + 3.5, BEGAN + 5), (BEGAN + 9, BEGAN + 99)]
    [recovery] = recoveries([Loss("run", 1, BEGAN)], events, idle)
    assert (recovery.took, recovery.counted) == (10, 6)


def test_nothing_could_go_on_while_the_database_or_every_executor_was_down() -> None:
    switches = Switches()
    for name, up, when in (
        ("database", False, 1), ("database", True, 2),
        ("0", False, 5), ("1", True, 5), ("1", False, 6), ("1", False, 7), ("0", True, 8), ("1", True, 9),
        ("0", False, 20), ("1", False, 21),
    ):  # fmt: skip
        switches.note(name, up=up, when=when)
    found = idle_times(switches, executors=["0", "1"], database="database")
    assert found == [(1, 2), (6, 8), (21, float("inf"))]
    assert within((0, 7), found) == 2
    assert within((20, 25), found) == 4


def test_intervals_that_touch_are_one() -> None:
    assert united([(3, 4), (1, 2), (2, 3), (6, 9), (7, 8)]) == [(1, 4), (6, 9)]
