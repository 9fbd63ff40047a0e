from __future__ import annotations

import asyncio
import contextvars
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runs.server.lifespan import Lifespan, State, Stopped

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Recorder:
    """A runtime that records its calls and waits where the test says."""

    def __init__(
        self,
        *,
        opening: Callable[[], Awaitable[object]] | None = None,
        closing: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.log: list[str] = []
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.execute: bool | None = None
        self.opening = opening
        self.closing = closing

    def stop_claiming(self) -> None:
        self.log.append("stop_claiming")

    @asynccontextmanager
    async def open(self, *, execute: bool) -> AsyncIterator[Recorder]:
        self.execute = execute
        self.tasks.append(asyncio.current_task())
        self.log.append(f"open {variable.get()}")
        if self.opening is not None:
            await self.opening()
        try:
            yield self
        finally:
            self.tasks.append(asyncio.current_task())
            self.log.append("drain")
            if self.closing is not None:
                await self.closing()
            self.log.append("drained")


async def fail() -> None:
    raise RuntimeError("the pool did not open")


async def test_opens_and_drains_once_in_one_task_of_its_own() -> None:
    recorder = Recorder()
    lifespan = Lifespan(recorder.open)
    assert lifespan.state is State.STARTING
    variable.set("from a request")

    await asyncio.gather(*(lifespan.startup() for _ in range(5)))
    assert lifespan.state is State.READY

    await asyncio.gather(*(lifespan.shutdown() for _ in range(5)))
    assert lifespan.state is State.CLOSED
    assert lifespan.exit_code == 0
    assert recorder.log == ["open unset", "stop_claiming", "drain", "drained"]
    assert recorder.tasks[0] is recorder.tasks[1] is not asyncio.current_task()


async def test_execution_can_be_switched_off() -> None:
    recorder = Recorder()
    lifespan = Lifespan(recorder.open)
    lifespan.execute = False
    await lifespan.startup()
    await lifespan.shutdown()
    assert recorder.execute is False


async def test_all_callers_get_the_error_of_the_start(caplog: pytest.LogCaptureFixture) -> None:
    lifespan = Lifespan(Recorder(opening=fail).open)
    results = await asyncio.gather(*(lifespan.startup() for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["the pool did not open"] * 3
    with pytest.raises(RuntimeError, match="the pool did not open"):
        await lifespan.startup()
    assert (lifespan.state, lifespan.exit_code) == (State.FAILED, 1)
    assert [record.exc_info is not None for record in caplog.records] == [True]
    await lifespan.shutdown()


async def test_an_error_can_choose_the_exit_code_and_is_not_logged_with_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusal(Exception):
        exit_code = 3

    async def refuse() -> None:
        raise Refusal("another process executes runs")

    lifespan = Lifespan(Recorder(opening=refuse).open)
    with pytest.raises(Refusal):
        await lifespan.startup()
    assert lifespan.exit_code == 3
    assert caplog.records == []


async def test_a_caller_that_is_cancelled_while_starting_does_not_cancel_the_start() -> None:
    released = asyncio.Event()
    lifespan = Lifespan(Recorder(opening=released.wait).open)
    first, second = asyncio.create_task(lifespan.startup()), asyncio.create_task(lifespan.startup())
    await asyncio.sleep(0)
    first.cancel()
    released.set()
    await second
    assert first.cancelled()
    assert lifespan.state is State.READY
    await lifespan.shutdown()


async def test_stop_claiming_is_called_at_once_and_once() -> None:
    recorder = Recorder()
    lifespan = Lifespan(recorder.open)
    await lifespan.startup()
    lifespan.begin_drain()
    assert recorder.log[1:] == ["stop_claiming"]
    assert lifespan.state is State.DRAINING
    lifespan.begin_drain()
    await lifespan.shutdown()
    assert recorder.log.count("stop_claiming") == 1


async def test_cancelling_those_who_wait_does_not_cut_the_drain_and_is_delivered_after_it() -> None:
    released = asyncio.Event()
    recorder = Recorder(closing=released.wait)
    lifespan = Lifespan(recorder.open)
    await lifespan.startup()
    waiting = asyncio.create_task(lifespan.shutdown())
    while "drain" not in recorder.log:
        await asyncio.sleep(0)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not waiting.done()
    assert lifespan.state is State.DRAINING

    released.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert recorder.log[-1] == "drained"
    assert lifespan.state is State.CLOSED


async def test_cancelling_the_lifespans_own_task_drains_and_timeouts_in_the_drain_still_work() -> None:
    timed_out = False

    async def close() -> None:
        nonlocal timed_out
        assert (task := asyncio.current_task()) is not None
        assert task.cancelling() == 0
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            timed_out = True

    recorder = Recorder(closing=close)
    lifespan = Lifespan(recorder.open)
    await lifespan.startup()
    task = recorder.tasks[0]
    assert task is not None
    task.cancel()
    await asyncio.wait([task])
    assert timed_out
    assert not task.cancelled()
    assert recorder.log == ["open unset", "stop_claiming", "drain", "drained"]
    await lifespan.shutdown()


async def test_told_to_stop_while_starting_ends_the_start() -> None:
    lifespan = Lifespan(Recorder(opening=asyncio.Event().wait).open)
    starting = asyncio.create_task(lifespan.startup())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    lifespan.begin_drain()
    with pytest.raises(Stopped):
        await starting
    assert (lifespan.state, lifespan.exit_code) == (State.CLOSED, 0)
    await lifespan.shutdown()


async def test_told_to_stop_when_the_start_has_just_finished_drains() -> None:
    released = asyncio.Event()
    recorder = Recorder(opening=released.wait)
    lifespan = Lifespan(recorder.open)
    starting = asyncio.create_task(lifespan.startup())
    while not recorder.log:
        await asyncio.sleep(0)
    released.set()
    lifespan.begin_drain()
    await asyncio.wait([starting])
    await lifespan.shutdown()
    assert lifespan.state is State.CLOSED


async def test_told_to_stop_before_the_start_never_opens() -> None:
    recorder = Recorder()
    lifespan = Lifespan(recorder.open)
    await lifespan.shutdown()
    with pytest.raises(Stopped):
        await lifespan.startup()
    assert recorder.log == []


async def test_an_error_in_the_drain_is_raised_logged_and_changes_the_exit_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lifespan = Lifespan(Recorder(closing=fail).open)
    await lifespan.startup()
    with pytest.raises(RuntimeError, match="the pool did not open"):
        await lifespan.shutdown()
    assert (lifespan.state, lifespan.exit_code) == (State.CLOSED, 1)
    assert "The drain failed." in caplog.text


async def test_further_signals_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    released = asyncio.Event()
    lifespan = Lifespan(Recorder(closing=released.wait).open)
    await lifespan.startup()
    for _ in range(4):
        lifespan.signalled()
    assert caplog.text.count("already draining") == 1
    released.set()
    await lifespan.shutdown()


class Server:
    """The server's side of the lifespan protocol."""

    def __init__(self, lifespan: Lifespan) -> None:
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.received.put_nowait({"type": "lifespan.startup"})
        self.task = asyncio.create_task(
            lifespan({"type": "lifespan"}, self.received.get, self.sent.put)  # type: ignore[arg-type]
        )


async def test_the_protocol_starts_and_shuts_down() -> None:
    recorder = Recorder()
    server = Server(Lifespan(recorder.open))
    assert await server.sent.get() == {"type": "lifespan.startup.complete"}
    server.received.put_nowait({"type": "lifespan.shutdown"})
    assert await server.sent.get() == {"type": "lifespan.shutdown.complete"}
    await server.task
    assert recorder.log[-1] == "drained"


async def test_the_protocol_reports_a_failed_start_and_a_failed_drain() -> None:
    server = Server(Lifespan(Recorder(opening=fail).open))
    assert await server.sent.get() == {
        "type": "lifespan.startup.failed",
        "message": "the pool did not open",
    }
    await server.task

    server = Server(Lifespan(Recorder(closing=fail).open))
    await server.sent.get()
    server.received.put_nowait({"type": "lifespan.shutdown"})
    assert (await server.sent.get())["type"] == "lifespan.shutdown.failed"
    await server.task


async def test_a_server_that_cancels_the_protocol_waits_for_the_drain() -> None:
    recorder = Recorder(closing=lambda: asyncio.sleep(0.05))
    server = Server(Lifespan(recorder.open))
    await server.sent.get()
    server.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server.task
    assert recorder.log[-1] == "drained"


async def test_the_protocol_hears_the_signal_first_passes_on_only_one_and_restores_the_handler() -> None:
    passed_on: list[int] = []
    released = asyncio.Event()
    recorder = Recorder(closing=released.wait)
    lifespan = Lifespan(recorder.open)
    before = signal.signal(signal.SIGTERM, lambda number, frame: passed_on.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        server = Server(lifespan)
        await server.sent.get()
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        while "drain" not in recorder.log:
            await asyncio.sleep(0)
        assert passed_on == [signal.SIGTERM]
        released.set()
        server.received.put_nowait({"type": "lifespan.shutdown"})
        await server.task
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
