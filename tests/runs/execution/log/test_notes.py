"""What an attempt keeps for operators: log lines, calls of models, and where an error came from."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from runs.encoding import decode, encode
from runs.events import table
from runs.execution.log import notes
from runs.execution.log.notes import MOST_LINES, Notes, described, lines_in, model_note, noting
from runs.models import Run
from runs.protocols.agent.items import LOG, MODEL, PACK
from runs.protocols.errors import failure_of
from tests.support.driving import Driver
from threads.db.database import in_database


class Stream:
    def __init__(self) -> None:
        self.closed = False
        self.items: list[Any] = []

    def note(self, item: str) -> None:
        self.items.append(decode(item))


def record(message: str, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord("shop", logging.INFO, "f", 1, message, (), None, extra=extra)


async def test_a_line_keeps_its_fields_without_secrets() -> None:
    line = described(record("token=abcdefghijk12345 for %s", ticket="T-17", password="hunter22"))
    assert line["level"] == "INFO"
    assert "abcdefghijk12345" not in line["message"]
    assert line["fields"] == {"ticket": "T-17", "password": "***"}


async def test_lines_from_threads_arrive_and_are_limited() -> None:
    stream = Stream()
    kept = Notes(stream)
    thread = threading.Thread(target=lambda: [kept.log(record("line")) for _ in range(MOST_LINES + 50)])
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    assert len(stream.items) == MOST_LINES + 1
    assert stream.items[-1][3]["message"] == "Further log lines were dropped."
    # A later attempt goes on counting.
    later = Notes(Stream())
    rows = [(PACK, encode(stream.items[:600])), (PACK, encode(stream.items[600:-1])), ("values", "{}")]
    assert lines_in(rows) == (MOST_LINES, MOST_LINES * len("line"))
    later.count(*lines_in(rows))
    later.log(record("line"))
    assert later._stream.items[0][3]["message"] == "Further log lines were dropped."


async def test_nothing_is_added_after_the_attempt() -> None:
    stream = Stream()
    kept = Notes(stream)
    stream.closed = True
    kept.log(record("late"))
    assert not stream.items


async def test_a_call_outside_of_a_run_is_not_noted() -> None:
    assert noting.get() is None
    model_note("start", 1, name="m")
    notes.HANDLER.emit(record("nobody's"))


def items(run: Run, mode: str) -> list[Any]:
    return [
        item for _, data in table.packs(run.id, containing=mode) for item in decode(data) if item[0] == mode
    ]


async def test_a_model_call_has_its_begin_its_end_and_its_node(driver: Driver) -> None:
    run = await driver.start("talking", {"messages": [{"role": "user", "content": "hello there"}]})
    row = await driver.finish(run)
    assert row.status == "success"
    found = await in_database(items, run, MODEL)
    started = [item for item in found if item[3]["event"] == "start"]
    ended = [item for item in found if item[3]["event"] == "end"]
    assert started
    assert [each[3]["id"] for each in started] == [each[3]["id"] for each in ended]
    assert all(item[1] and ":" in item[1][0] for item in started)


async def test_a_failed_run_keeps_its_node_and_traceback(driver: Driver) -> None:
    run = await driver.start("failing")
    row = await driver.finish(run)
    assert row.failure["node"] == "boom"
    assert 'raise ValueError("kaboom")' in row.failure["traceback"]
    assert "ValueError: kaboom" in row.failure["traceback"]
    assert 'File "tests/support/graphs.py"' in row.failure["traceback"]
    assert 'File "site-packages/langgraph/' in row.failure["traceback"]


def test_a_traceback_is_bounded_and_has_no_secrets() -> None:
    with pytest.raises(ValueError) as caught:
        raise ValueError("password=hunter2222 " + "x" * 200_000)
    found = failure_of(caught.value)
    assert "hunter2222" not in found["traceback"]
    assert len(found["traceback"]) < 20_000
    assert found["node"] is None
    caught.value.add_note("During task with name 'inner' and id 'b'")
    caught.value.add_note("During task with name 'outer' and id 'a'")
    assert failure_of(caught.value)["tasks"] == [{"name": "outer", "id": "a"}, {"name": "inner", "id": "b"}]


async def test_a_log_line_of_a_node_is_kept_with_its_run(driver: Driver, monkeypatch: Any) -> None:
    from tests.support import graphs

    traced = graphs.trace

    def trace(config: Any, name: str) -> None:
        traced(config, name)
        logging.getLogger("shop").warning("step %s", name, extra={"ticket": "T-17"})

    monkeypatch.setattr(graphs, "trace", trace)
    run = await driver.start("parallel")
    await driver.finish(run)
    lines = [item[3] for item in await in_database(items, run, LOG)]
    assert sorted(line["message"] for line in lines) == ["step a", "step b1", "step b2", "step c"]
    assert lines[0]["fields"] == {"ticket": "T-17"}
