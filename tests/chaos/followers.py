"""A reader of one run's stream that reconnects to any process and resumes at its last event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx

from tests.chaos.api import Api
from tests.chaos.ledger import Creation, Reading
from tests.chaos.shapes import digest
from tests.processes.harness import TERMINAL
from tests.processes.readers import position


class Gone(Exception):
    """The run does not exist any more."""


async def follow(api: Api, creation: Creation) -> Reading:
    """Read a run's stream to its end.

    A regular end of the stream before the run's end is a violation.
    """
    reading = Reading(creation.run_id)
    api.ledger.readings.append(reading)
    path = f"/threads/{creation.thread_id}/runs/{creation.run_id}/stream"
    after = "-1"
    while True:
        reading.connections += 1
        try:
            async with api.stream(path, after=after) as response:
                if response.status_code == 404:
                    raise Gone
                if response.status_code != 200:
                    raise httpx.ReadError(f"{response.status_code}")
                async for event_id, name, data in frames(response):
                    after = event_id or after
                    take(reading, event_id, name, data)
        except httpx.HTTPError:
            await asyncio.sleep(0.2)
            continue
        except Gone:
            reading.complete = True
            return reading
        status = await api.status(creation)
        if status in (*TERMINAL, "gone"):
            reading.complete = True
            return reading
        api.ledger.violations.append(f"The stream of run {creation.run_id} ended, but it is {status}.")
        await asyncio.sleep(0.5)


async def frames(response: httpx.Response) -> AsyncIterator[tuple[str, str, str]]:
    """Server-sent events as (id, event, data), without comments."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            if "data" in fields:
                yield fields.get("id", ""), fields.get("event", ""), fields["data"]
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def take(reading: Reading, event_id: str, name: str, data: str) -> None:
    if not event_id:
        if name == "error" and "Run not found" in data:
            raise Gone
        raise httpx.ReadError(f"an event without an id: {name} {data[:200]}")
    reading.ids.append(position(event_id))
    reading.digests[event_id] = digest(f"{name} {data}")
    if name == "custom":
        large = json.loads(data)
        reading.bulks.setdefault(large["step"], []).append(digest(large["text"]))
    if name == "messages":
        chunk = json.loads(data)[0]
        if chunk.get("type") == "AIMessageChunk":
            epoch = reading.ids[-1][0]
            reading.texts[epoch] = reading.texts.get(epoch, "") + chunk["content"]
