"""Turns: at most a few calls of one user at once."""

from __future__ import annotations

import asyncio

import pytest

from threads.db.turns import TooLongAwaited, Turns


async def test_one_user_waits_and_others_do_not() -> None:
    turns = Turns(1)
    give = await turns.take("a", seconds=1)
    await turns.take("b", seconds=1)
    await turns.take(None, seconds=1)
    with pytest.raises(TooLongAwaited):
        await turns.take("a", seconds=0.01)
    give()
    await turns.take("a", seconds=1)


async def test_turns_are_taken_in_order_and_given_once() -> None:
    turns, order = Turns(1), list[int]()

    async def work(number: int) -> None:
        give = await turns.take("a", seconds=5)
        order.append(number)
        await asyncio.sleep(0)
        give()
        give()

    await asyncio.gather(*(work(number) for number in range(5)))
    assert order == list(range(5))
    give = await turns.take("a", seconds=0.01)
    with pytest.raises(TooLongAwaited):
        await turns.take("a", seconds=0.01)
    give()
    assert not turns._taken
    assert not turns._waiting


@pytest.mark.parametrize("given_first", [False, True])
async def test_a_call_that_leaves_the_line_takes_no_turn(given_first: bool) -> None:
    turns = Turns(1)
    give = await turns.take("a", seconds=1)
    waiting = asyncio.create_task(turns.take("a", seconds=5))
    await asyncio.sleep(0)
    if given_first:
        give()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    give()
    assert not turns._taken
    assert not turns._waiting
