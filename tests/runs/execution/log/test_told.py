"""A resumed run does not repeat events that its readers have seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest

from runs.execution.log.told import Told
from runs.lifecycle.outcomes import Stop
from runs.protocols.agent.items import PACK, pack
from tests.runs.lifecycle.test_reconcile import bury, settled
from tests.support.driving import Driver
from threads.db.database import in_database

STATE, MORE = '{"log":[1]}', '{"log":[1,2]}'


def item(mode: str, data: str, time: int = 1, namespace: str = "[]") -> str:
    return f'["{mode}",{namespace},{time},{data}]'


def test_nothing_was_told_by_a_first_attempt() -> None:
    assert not Told().again("values", STATE)


def test_the_last_state_and_what_followed_it_is_not_told_again() -> None:
    told = Told([("updates", '{"b":1}'), ("updates", '{"a":1}'), ("values", STATE), ("updates", '{"z":1}')])
    assert told.again("values", STATE)
    assert told.again("updates", '{"a":1}')
    assert not told.again("updates", '{"c":1}')
    assert told.again("updates", '{"b":1}')
    assert not told.again("updates", '{"z":1}')


def test_each_event_that_was_told_stands_for_one_repeat() -> None:
    told = Told([("updates", '{"a":1}'), ("values", STATE)])
    assert [told.again("updates", '{"a":1}') for _ in range(2)] == [True, False]
    assert [told.again("values", STATE) for _ in range(2)] == [True, False]


def test_a_new_state_ends_the_repeats() -> None:
    told = Told([("updates", '{"a":1}'), ("values", STATE)])
    assert not told.again("values", MORE)
    assert not told.again("updates", '{"a":1}')


def test_a_subgraphs_state_ends_nothing() -> None:
    told = Told([("updates", '{"a":1}'), ("values|sub:1", STATE), ("values", STATE)])
    assert not told.again("values|sub:2", STATE)
    assert told.again("values|sub:1", STATE)
    assert told.again("updates", '{"a":1}')


def test_items_are_compared_apart_from_their_time_and_never_with_rows() -> None:
    rows = [(PACK, pack([item("values", STATE), item("custom", "{}"), item("updates", '{"a":1}')]))]
    told = Told(rows)
    assert not told.again("values", STATE)
    told = Told(rows)
    assert not told.again(PACK, item("updates", '{"a":1}', namespace='["sub:1"]'))
    assert told.again(PACK, item("updates", '{"a":1}', time=2))
    assert told.again(PACK, item("values", STATE, time=2))
    assert not told.again(PACK, item("custom", "{}"))


def test_a_state_is_told_again_after_parts_of_messages() -> None:
    told = Told([("messages", "{}"), ("updates", '{"a":1}'), ("values", STATE)])
    assert not told.again("values", STATE)
    assert told.again("updates", '{"a":1}')
    told = Told([(PACK, pack([item("values", STATE), item("messages", "{}")]))])
    assert not told.again(PACK, item("values", STATE))
    told = Told([("values", STATE), ("messages", "{}")])
    assert told.again("values", STATE)


@pytest.mark.parametrize("modes", [["values", "updates"], ["updates"], ["values"], ["custom"]])
async def test_updates_of_finished_siblings_are_told_once_after_a_death(
    run_settings: Any, driver: Driver, modes: list[str]
) -> None:
    run_settings(SWEEP=1000.0)
    run = await driver.start("siblings", durability="sync", stream_modes=modes)
    await driver.executing(run, "quick")
    await driver.executing(run, "slow")
    manager = driver.runtime.manager
    assert manager is not None
    await asyncio.sleep(0.3)
    manager.active[run.id].execution.stop(Stop.LOST)
    async with asyncio.timeout(5):
        while run.id in manager.active:
            await asyncio.sleep(0.005)
    await in_database(bury, run.id)
    await settled()
    assert (await driver.finish(run)).attempt == 2
    assert driver.executions(run) == {"quick": 1, "slow": 2, "last": 1}
    seen: Counter[tuple[str, str]] = Counter()
    for event in await driver.events(run):
        if event.name in ("values", "updates"):
            seen[event.name, event.data] += 1
        elif event.name == PACK:
            items = [each for each in orjson.loads(event.data) if each[0] in ("values", "updates")]
            seen.update((PACK + mode, orjson.dumps(data).decode()) for mode, _, _, data in items)
    assert seen
    assert set(seen.values()) == {1}, seen
