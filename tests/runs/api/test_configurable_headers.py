"""Request headers in the `configurable` of runs."""

from __future__ import annotations

from typing import Any

import httpx
from langgraph_sdk.client import LangGraphClient

from runs.models import Run
from threads.db.database import in_database


async def test_a_run_gets_them_and_the_threads_next_run_does_not(
    sdk: LangGraphClient, http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(DRAIN_SECONDS=1.0, CONFIGURABLE_HEADERS={"includes": ["x-tenant", "thread_id"]})
    thread = (await sdk.threads.create())["thread_id"]
    body = {"assistant_id": "steps", "input": {"log": []}, "context": {"mine": 1}}
    sent = {"X-Tenant": "acme", "Thread_Id": "another"}
    first = (await http.post(f"/threads/{thread}/runs/wait", json=body, headers=sent)).headers[
        "Content-Location"
    ]
    second = (await http.post(f"/threads/{thread}/runs/wait", json=body)).headers["Content-Location"]

    def given(location: str) -> dict[str, Any]:
        found: dict[str, Any] = Run.objects.get(id=location.rpartition("/")[2]).kwargs["config"][
            "configurable"
        ]
        return {name: found.get(name) for name in ("x-tenant", "mine", "thread_id")}

    assert await in_database(given, first) == {"x-tenant": "acme", "mine": 1, "thread_id": None}
    assert await in_database(given, second) == {"x-tenant": None, "mine": 1, "thread_id": None}
