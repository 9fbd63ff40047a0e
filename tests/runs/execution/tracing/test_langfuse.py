"""Traces in Langfuse: its real client against a receiver on loopback."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from runs.execution import tracing
from runs.execution.tracing import langfuse
from runs.lifecycle.outcomes import Stop
from runs.models import RunAction
from tests.support.driving import Driver
from tests.support.langfuse_server import Received, receiving
from tests.support.postgres import free_port
from threads.db.database import in_database

numbers = itertools.count(1)


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    """A receiver, and a client that is new; Langfuse keeps one for each key."""
    with receiving() as found:
        monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", f"pk-{next(numbers)}")
        monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-sesame")
        monkeypatch.setenv("LANGFUSE_BASE_URL", found.url)
        monkeypatch.setenv("LANGFUSE_TRACING_ENVIRONMENT", "staging")
        monkeypatch.setenv("LANGFUSE_MEDIA_UPLOAD_ENABLED", "false")
        langfuse.forget()
        yield found
        langfuse.forget()


@pytest.fixture
async def traced(received: Received, driver: Driver) -> Driver:
    return driver


async def sent(received: Received) -> dict[str, list[dict[str, Any]]]:
    await tracing.flush(10.0)
    return received.traces()


async def test_a_run_is_a_trace_with_its_thread_user_tags_and_name(
    traced: Driver, received: Received
) -> None:
    run = await traced.finish(await traced.start("talking", {"messages": ["hello"]}))
    traces = await sent(received)
    assert set(traces) == {run.id.hex}
    spans = traces[run.id.hex]
    ids = {span["id"] for span in spans}
    (root,) = [span for span in spans if span["parent"] not in ids]
    assert {"talk", "Talker"} <= {span["name"] for span in spans}
    assert root["session.id"] == str(run.thread_id)
    assert root["user.id"] == str(run.user_id)
    assert root["langfuse.trace.name"] == "talking"
    assert set(root["langfuse.trace.tags"]) == {"graph:talking", "assistant:talking", "environment:staging"}
    assert received.paths[0] == "/api/public/otel/v1/traces"
    assert await in_database(tracing.trace_url, run.id) == f"{received.url}/trace/{run.id.hex}"


async def test_what_the_client_gave_is_kept(traced: Driver, received: Received) -> None:
    metadata = {"langfuse_session_id": "mine", "langfuse_tags": ["vip", 7], "langfuse_trace_name": "a name"}
    run = await traced.finish(await traced.start("steps", metadata=metadata))
    spans = (await sent(received))[run.id.hex]
    assert {span["session.id"] for span in spans} == {"mine"}
    assert {span["langfuse.trace.name"] for span in spans} == {"a name"}
    assert {"vip", "graph:steps"} <= set(spans[0]["langfuse.trace.tags"])
    assert {span["user.id"] for span in spans} == {str(run.user_id)}


async def test_all_attempts_of_a_run_are_one_trace(traced: Driver, received: Received) -> None:
    run = await traced.start("steps", {"log": [], "delay": 0.05})
    await traced.executing(run, "s1")
    traced.runtime.manager.active[run.id].execution.stop(Stop.DRAIN)
    done = await traced.finish(run)
    assert (done.status, done.attempt) == ("success", 2)
    traces = await sent(received)
    assert set(traces) == {run.id.hex}
    attempts = {span.get("langfuse.observation.metadata.run_attempt") for span in traces[run.id.hex]}
    assert await in_database(RunAction.objects.filter(run_id=run.id, kind=RunAction.TRACED).count) == 1
    assert {"1", "2"} <= {str(each) for each in attempts}


async def test_runs_beside_each_other_do_not_mix(traced: Driver, received: Received) -> None:
    runs = [await traced.start("parallel") for _ in range(8)]
    for run in runs:
        await traced.finish(run)
    traces = await sent(received)
    assert set(traces) == {run.id.hex for run in runs}
    by_id = {run.id.hex: run for run in runs}
    for trace_id, spans in traces.items():
        assert {span["session.id"] for span in spans} == {str(by_id[trace_id].thread_id)}
        ids = {span["id"] for span in spans}
        roots = [span for span in spans if span["parent"] not in ids]
        assert len(roots) == 1


@pytest.mark.parametrize("fault", ["slow", "refuses", "gone"])
async def test_a_langfuse_that_does_not_take_spans_delays_no_run(
    received: Received, driver: Driver, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    # The client tries for so long to send the first spans: all runs end before it has given up.
    monkeypatch.setenv("LANGFUSE_TIMEOUT", "60")
    if fault == "slow":
        received.delay = 60.0
    elif fault == "refuses":
        received.status = 503
    else:
        monkeypatch.setenv("LANGFUSE_BASE_URL", f"http://127.0.0.1:{free_port()}")
    langfuse.forget()
    for _ in range(3):
        runs = [await driver.start("parallel") for _ in range(4)]
        for run in runs:
            assert (await driver.finish(run)).status == "success"
    began = time.monotonic()
    await tracing.flush(0.5)
    assert time.monotonic() - began < 10.0
    counts = tracing.counts()
    assert counts is not None
    assert (counts.sent, counts.failed, counts.dropped) == (0, 0, 0)


async def test_the_drain_sends_what_waits(
    received: Received, transactional_db: None, run_settings: Any, trace_file: Any
) -> None:
    from runs.worker.opening import open_runtime

    async with open_runtime() as opened:
        driver = await Driver.create(opened, trace_file)
        run = await driver.finish(await driver.start("steps"))
    assert set(received.traces()) == {run.id.hex}


async def test_a_drain_does_not_wait_for_a_dead_langfuse_beyond_its_time(
    received: Received, transactional_db: None, run_settings: Any, trace_file: Any
) -> None:
    from runs.worker.opening import open_runtime

    received.delay = 60.0
    run_settings(DRAIN_SECONDS=1.0)
    async with open_runtime() as opened:
        driver = await Driver.create(opened, trace_file)
        await driver.finish(await driver.start("steps"))
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 20.0


@pytest.mark.parametrize("rate", ["0", "no number"])
async def test_a_run_that_is_not_sent_has_no_link(
    received: Received, driver: Driver, monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    monkeypatch.setenv("LANGFUSE_SAMPLE_RATE", rate)
    langfuse.forget()
    run = await driver.finish(await driver.start("steps"))
    assert run.status == "success"
    assert run.id.hex not in await sent(received)
    assert await in_database(tracing.trace_url, run.id) is None


async def test_without_keys_there_is_no_client(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGFUSE_PUBLIC_KEY", raising=False)
    langfuse.forget()
    run = await driver.finish(await driver.start("steps"))
    assert tracing.counts() is None
    assert await in_database(tracing.trace_url, run.id) is None
    assert tracing.metadata(run) == {}


async def test_a_run_goes_on_where_the_package_is_missing(
    received: Received, driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langfuse", None)
    langfuse.forget()
    for _ in range(2):
        run = await driver.finish(await driver.start("steps"))
        assert run.status == "success"
        assert await in_database(tracing.trace_url, run.id) is None
    assert caplog.text.count("langfuse is not installed") == 1
