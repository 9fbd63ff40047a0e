"""Requests with an `Idempotency-Key` whose answers are lost, or that reach two processes at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.processes.harness import STEPS, Process, Site, eventually, free_port
from tests.processes.invariants import sound

BODY = {"assistant_id": "steps", "input": {"log": []}, "if_not_exists": "create"}
THREAD = "11111111-1111-4111-8111-111111111111"
SERVE_ONLY = ("manage.py", "serve", "--no-execute", "--port", "{port}")


def create(
    process: Process, key: str, *, path: str = f"/threads/{THREAD}/runs", body: Any = BODY
) -> httpx.Response:
    headers = {"Idempotency-Key": key}
    return httpx.post(process.url + path, json=body, headers=headers, timeout=30, trust_env=False)


def runs(site: Site) -> list[str]:
    return [str(row["id"]) for row in site.database.rows("SELECT id FROM runs_run")]


def test_a_crash_between_the_commit_and_the_answer_doubles_no_run(site: Site) -> None:
    site.start(FAILPOINT="claimed")
    with pytest.raises(httpx.TransportError):
        create(site.process, "k")
    site.process.wait()
    assert len(runs(site)) == 1
    site.start()
    again = create(site.process, "k").json()
    assert len(runs(site)) == 1
    assert again["status"] == "pending"
    assert site.finish(again)["status"] == "success"
    assert site.values(again)["log"] == STEPS
    assert site.process.stop() == 0
    sound(site)


def test_a_crash_after_the_commit_doubles_nothing_else(site: Site) -> None:
    """Threads, copies, crons and batches: the server dies at each of them, and is asked again."""
    later = {"assistant_id": "steps", "input": {"log": []}, "after_seconds": 600}
    cron = {"assistant_id": "steps", "schedule": "0 5 1 1 *", "input": {"log": []}}
    asked: dict[str, Any] = {
        "/threads": {"metadata": {"a": 1}, "thread_id": THREAD},
        f"/threads/{THREAD}/copy": {},
        "/runs/crons": cron,
        "/runs/batch": [later, later],
    }
    for path, body in asked.items():
        process = site.start(FAILPOINT="created")
        with pytest.raises(httpx.TransportError):
            create(process, path, path=path, body=body)
        process.wait()
    process = site.start()
    for path, body in asked.items():
        first, again = (create(process, path, path=path, body=body) for _ in range(2))
        assert (first.status_code, first.json()) == (200, again.json()), path
    tables = {"runs_cron": 1, "runs_run": 2, "runs_idempotencykey": 4, "threads_thread": 4}
    for table, count in tables.items():
        assert len(site.database.rows(f"SELECT * FROM {table}")) == count, table
    assert process.stop() == 0


@pytest.mark.postgresql
def test_equal_requests_to_two_processes_create_one_run_each_time(site: Site) -> None:
    first, second = site.start(), site.start(*SERVE_ONLY, port=free_port())
    with ThreadPoolExecutor(8) as pool:
        for number in range(12):
            path = "/runs" if number % 2 else f"/threads/{THREAD}/runs"
            asked = [pool.submit(create, process, f"k{number}", path=path) for process in (first, second) * 4]
            answers = [each.result() for each in asked]
            assert {answer.status_code for answer in answers} == {200}, [each.text for each in answers]
            assert all(answer.json() == answers[0].json() for answer in answers)
            assert len(site.database.rows("SELECT id FROM runs_idempotencykey")) == number + 1
    eventually(lambda: not site.database.rows("SELECT id FROM runs_run WHERE finished_at IS NULL"))
    assert first.stop() == second.stop() == 0
    sound(site)


@pytest.mark.postgresql
def test_a_repeated_request_waits_for_the_first_one(site: Site) -> None:
    """The first process stops in the transaction that creates the run."""
    first = site.start(FAILPOINT="admitting")
    second = site.start(*SERVE_ONLY, port=free_port())
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(create, first, "k", path="/runs")
        frozen = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
        eventually(lambda: site.database.rows(frozen), what="the first process stands still")
        again = pool.submit(create, second, "k", path="/runs")
        time.sleep(1)
        assert not again.done()
        assert runs(site) == []
        first.resume()
        assert asked.result().status_code == again.result().status_code == 200
        assert asked.result().json() == again.result().json()
    assert len(runs(site)) == 1
    eventually(lambda: not site.database.rows("SELECT id FROM runs_run WHERE finished_at IS NULL"))
    assert first.stop() == second.stop() == 0
    sound(site)
