"""Clients' view of runs and threads after retention."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from runs.conf import settings
from runs.retention.policy import Policy, prune
from threads.checkpoints.opening import open_pruning
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread


def report_of(policy: Policy) -> Any:
    return prune(policy, open_pruning(file=settings.CHECKPOINTS_FILE))


async def test_the_stream_of_a_run_whose_events_are_gone_ends_at_once_and_its_result_stays(
    http: httpx.AsyncClient,
) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    body = {"assistant_id": "steps", "input": {"log": []}}
    done = await http.post(f"/threads/{thread}/runs/wait", json=body)
    [run] = (await http.get(f"/threads/{thread}/runs")).json()
    report = await in_database(report_of, Policy(events_before=clock.now()))
    assert report.events > 0
    base = f"/threads/{thread}/runs/{run['run_id']}"
    removed = '{"error":"LogRemoved","message":"The events of this run are no longer kept."}'
    told = f"event: error\r\ndata: {removed}\r\n\r\n"
    for last, text in (("-1", ""), (None, ""), ("1-100", ""), ("1-3", told)):
        headers = {"Last-Event-ID": last} if last else {}
        answer = await http.get(f"{base}/stream", headers=headers, timeout=5)
        assert (answer.status_code, answer.text) == (200, text)
    assert (await http.get(f"{base}/join", timeout=5)).json() == done.json()
    assert (await http.get(f"/threads/{thread}/state")).json()["values"] == done.json()
    assert (await http.post(f"/threads/{thread}/runs/wait", json=body)).status_code == 200


async def test_an_expired_thread_does_not_exist(http: httpx.AsyncClient) -> None:
    made = {"thread_id": "11111111-1111-4111-8111-111111111111", "ttl": 5}
    thread = (await http.post("/threads", json=made)).json()["thread_id"]
    body = {"assistant_id": "steps", "input": {"log": []}}
    await http.post(f"/threads/{thread}/runs/wait", json=body)
    [run] = (await http.get(f"/threads/{thread}/runs")).json()
    overdue = Thread.objects.filter(id=UUID(thread))
    assert await in_database(overdue.update, expires_at=clock.now() - timedelta(seconds=1)) == 1
    assert (await http.get(f"/threads/{thread}")).status_code == 200
    assert (await in_database(report_of, Policy())).threads_deleted == 1
    base = f"/threads/{thread}"
    for path in (base, f"{base}/state", f"{base}/runs", f"{base}/runs/{run['run_id']}"):
        assert (await http.get(path)).status_code == 404
    assert (await http.post(f"{base}/runs", json=body)).status_code == 404
    gone = (await http.get(f"{base}/runs/{run['run_id']}/join", timeout=5)).json()
    assert "Run not found" in gone["__error__"]["message"]
    assert (await http.post("/threads", json=made)).json()["values"] is None
