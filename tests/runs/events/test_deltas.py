"""Events that repeat an earlier one are stored as what is different, and read as they were."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.events import table as event_store
from runs.events.deltas import LARGE, MOST_BASES, Shortener, base_of, difference, whole
from runs.events.table import Event, Position
from runs.models import RunEvent
from runs.protocols.agent.items import PACK
from tests.support.driving import Driver
from threads.db.database import in_database

WORD = st.text(alphabet="ab1,", max_size=80)


def state(*messages: str, steps: int = 0) -> str:
    told = ",".join(f'{{"content":"{each}"}}' for each in messages)
    return f'{{"messages":[{told}],"steps":{steps}}}'


BIG = "x" * LARGE


@given(st.lists(WORD, max_size=6), st.lists(WORD, max_size=6), WORD)
def test_every_text_can_be_put_together_again(old: list[str], new: list[str], between: str) -> None:
    before, after = between.join(old), between.join(new)
    assert put_together(before, after) == after


def put_together(before: str, after: str) -> str:
    pieces = difference(before, after)
    return "".join(each if isinstance(each, str) else before[each[0] : sum(each)] for each in pieces)


def test_a_state_that_grows_is_what_is_new() -> None:
    shortener = Shortener()
    first = state(BIG, "a")
    assert shortener.short(3, "values", first) is None
    for steps in range(1, 50):
        data = state(BIG, "a", *(f"step {step}" for step in range(steps)), steps=steps)
        short = shortener.short(3 + steps, "values", data)
        assert short is not None
        assert base_of(short) == 3
        assert len(short) < 200 + 30 * steps
        assert whole(short, first) == data


def test_items_with_times_are_alike_too() -> None:
    shortener = Shortener()
    first = f'[["values",["team:1"],1795818920740,{state(BIG)}]]'
    assert shortener.short(1, PACK, first) is None
    assert shortener.short(2, PACK, first.replace("team", "firm")) is None, "another namespace's"
    data = f'[["values",["team:1"],1795818921312,{state(BIG, "more", steps=1)}]]'
    short = shortener.short(3, PACK, data)
    assert short is not None
    assert len(short) < 300
    assert (base_of(short), whole(short, first)) == (1, data)


def test_what_is_small_or_new_is_stored_whole() -> None:
    shortener = Shortener()
    assert shortener.short(1, "values", "{}") is None
    assert shortener.short(2, "values", state(BIG)) is None
    # Another text takes the place of the one before: what follows is like it.
    other = state("y" * LARGE * 3)
    assert shortener.short(3, "values", other) is None
    short = shortener.short(4, "values", other)
    assert short is not None
    assert base_of(short) == 3
    assert base_of(state()) is None


def test_few_events_are_remembered() -> None:
    shortener = Shortener()
    for number in range(MOST_BASES + 1):
        assert shortener.short(number, f"values|{number}", state(BIG)) is None
    assert shortener.short(10, "values|0", state(BIG)) is None
    assert shortener.short(11, f"values|{MOST_BASES}", state(BIG)) is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("modes", [["values"], ["updates"]])
async def test_the_log_of_a_large_state_is_small_and_read_as_it_was_told(
    driver: Driver, modes: list[str]
) -> None:
    run = await driver.start("steps", {"log": [BIG * 50]}, stream_modes=modes)
    live = [event async for batch in driver.runtime.hub.follow(run.id, (0, 0)) for event in batch]
    stored = await in_database(list, RunEvent.objects.filter(run=run.id).order_by("epoch", "seq"))
    told, kept = sum(len(each.data) for each in live), sum(len(each.data) for each in stored)
    assert told > 10 * len(BIG) * 50
    assert kept < told / 8

    def read(after: Position) -> list[Event]:
        found: list[Event] = []
        while batch := event_store.read(run.id, found[-1].position if found else after):
            assert len(batch) == 1 or sum(len(event.data) for event in batch) <= event_store.READ_SIZE
            found += batch
        return found

    everything = await in_database(read, event_store.START)
    assert everything == live
    # A reader who comes back begins anywhere.
    assert await in_database(read, live[len(live) // 2].position) == live[len(live) // 2 + 1 :]
    backwards = await in_database(list, event_store.before(run.id, live[-1].epoch + 1))
    assert backwards == live[::-1]


@pytest.mark.django_db(transaction=True)
async def test_an_event_whose_base_is_being_removed_ends_what_can_be_read(driver: Driver) -> None:
    run = await driver.start("steps", {"log": [BIG]}, stream_modes=["values"])
    await driver.finish(run)
    rows = await in_database(list, RunEvent.objects.filter(run=run.id).order_by("epoch", "seq"))
    [base] = {base_of(each.data) for each in rows} - {None}
    await in_database(RunEvent.objects.filter(run=run.id, seq=base).delete)
    found = await in_database(event_store.read, run.id, event_store.START)
    assert found
    assert not any(event.data.startswith("~") for event in found)
    assert found[-1].seq < max(each.seq for each in rows)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ab" * 1_000_000, "ba" * 1_000_000),
        ("a" * 2_000_000, "a" * 1_999_999 + "b"),
        ("".join(f"{n}," for n in range(250_000)), "".join(f"{n + 1}," for n in range(250_000))),
        (("x" * 40 + "1") * 50_000, ("x" * 40 + "2") * 50_000),
    ],
)
def test_it_takes_no_longer_than_a_few_readings(old: str, new: str) -> None:
    begun = time.perf_counter()
    for _ in range(3):
        old.encode().find(b"never")
    reading = time.perf_counter() - begun
    begun = time.perf_counter()
    pieces: Any = difference(old, new)
    assert time.perf_counter() - begun < 0.05 + 10 * reading
    assert len(pieces) <= 70
    assert put_together(old, new) == new
