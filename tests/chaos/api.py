"""The clients' access to the servers: any serving process, with retries where those are safe."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx

from tests.chaos.ledger import CREATED, REFUSED, UNKNOWN, USERS, Creation, Ledger
from tests.processes.harness import TERMINAL

#: How long a request may take, and an event stream be silent, in seconds, because servers may be paused.
ANSWER, SILENCE = 5.0, 4.0
#: How long a client retries for an answer, and how long it looks for a run whose creation was not answered.
PATIENCE, SEARCH = 120.0, 8.0


class Unanswered(Exception):
    """No answer or a server error: the request may have been executed, or still be."""


class Serving(Protocol):
    def urls(self) -> list[str]:
        """The addresses of serving processes believed alive; at least one."""


class Api:
    """One user's access, on connections that all users share."""

    def __init__(self, fleet: Serving, ledger: Ledger, seed: str) -> None:
        self.ledger = ledger
        self.user = USERS[0]
        self._fleet = fleet
        self._chance = random.Random(seed)
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=40, keepalive_expiry=2)
        self._client = httpx.AsyncClient(trust_env=False, timeout=ANSWER, limits=limits)

    async def close(self) -> None:
        await self._client.aclose()

    def of(self, user: str) -> Api:
        """The same access for another user."""
        other = copy.copy(self)
        other.user = user
        return other

    async def once(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to one process.

        Raises Unanswered, or httpx.ConnectError if nothing was sent.
        """
        self.ledger.counts["requests"] += 1
        try:
            response = await self._client.request(
                method,
                self._chance.choice(self._fleet.urls()) + path,
                headers={"x-api-key": self.user},
                **options,
            )
        except httpx.ConnectError:
            raise
        except httpx.HTTPError as error:
            raise Unanswered(repr(error)) from error
        if response.status_code >= 500:
            self._blame(response, method, path)
            raise Unanswered(f"{response.status_code} {response.text[:200]}")
        return response

    def _blame(self, response: httpx.Response, method: str, path: str) -> None:
        """A server may answer that it is unavailable; other errors are violations."""
        if response.status_code >= 500 and response.status_code != 503:
            text = response.text[:300] if response.is_closed else ""
            self.ledger.violations.append(f"{method} {path} answered {response.status_code} {text}")

    async def sent(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Try until a process can be reached. Raises Unanswered."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await self.once(method, path, **options)
            except httpx.ConnectError as error:
                self.ledger.counts["connections refused"] += 1
                if asyncio.get_running_loop().time() > deadline:
                    raise Unanswered(repr(error)) from error
                await asyncio.sleep(0.2)

    async def get(self, path: str) -> httpx.Response:
        """Retry until there is an answer."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                return await self.sent("GET", path)
            except Unanswered:
                self.ledger.counts["retries"] += 1
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)

    @asynccontextmanager
    async def stream(self, path: str, *, after: str) -> AsyncIterator[httpx.Response]:
        url = self._chance.choice(self._fleet.urls()) + path
        timeout = httpx.Timeout(ANSWER, read=SILENCE)
        async with self._client.stream(
            "GET", url, headers={"Last-Event-ID": after, "x-api-key": self.user}, timeout=timeout
        ) as response:
            self._blame(response, "GET", path)
            yield response

    # --- runs

    async def create(self, creation: Creation, **more: Any) -> bool:
        """Create a run, once; return whether it is known to exist. Raises Unanswered.

        An unanswered create is looked up by its key and never sent again, because it may still be
        executed.
        """
        body = creation.order.body(metadata={"key": creation.key}, **more)
        path = f"/threads/{creation.thread_id}/runs"
        try:
            response = await self.sent("POST", path, json=body)
        except Unanswered:
            self.ledger.counts["unanswered creates"] += 1
            creation.run_id = await self._find(creation)
            creation.state = CREATED if creation.run_id else UNKNOWN
            if not creation.run_id:
                self.ledger.counts["given up"] += 1
                raise
            return True
        if response.status_code == 409 and creation.order.graph == "steps":
            creation.state = REFUSED
            return False
        if response.status_code != 200:
            self.ledger.violations.append(
                f"create answered {response.status_code} {response.text[:300]}: {body}"
            )
            raise Unanswered(response.text)
        creation.state, creation.run_id = CREATED, response.json()["run_id"]
        return True

    async def _find(self, creation: Creation) -> str:
        """The id of the run with this creation's key; "" if none appears for a while."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + SEARCH
        while True:
            response = await self.get(f"/threads/{creation.thread_id}/runs?limit=100")
            if response.status_code == 200:
                found = [run for run in response.json() if run["metadata"].get("key") == creation.key]
                if found:
                    self.ledger.counts["found again"] += 1
                    return str(found[0]["run_id"])
            if clock() > deadline:
                return ""
            await asyncio.sleep(0.5)

    async def status(self, creation: Creation) -> str:
        """A run's status; "gone" for one that does not exist."""
        response = await self.get(f"/threads/{creation.thread_id}/runs/{creation.run_id}")
        return "gone" if response.status_code == 404 else str(response.json()["status"])

    async def join(self, creation: Creation) -> Any:
        """Wait for a run's result, trying the processes in turn; None if the run does not exist."""
        path = f"/threads/{creation.thread_id}/runs/{creation.run_id}/join"
        while True:
            try:
                async with self.stream(path, after="") as response:
                    if response.status_code == 200:
                        return json.loads(await response.aread())
                    if response.status_code == 404:
                        return None
            except (httpx.HTTPError, json.JSONDecodeError):
                pass
            self.ledger.counts["retries"] += 1
            await asyncio.sleep(0.2)

    async def ended(self, creation: Creation) -> str:
        """Wait for a run's end by polling its status; return it."""
        while (status := await self.status(creation)) not in (*TERMINAL, "gone"):
            await asyncio.sleep(0.4)
        return status

    async def cancel(self, creation: Creation, *, action: str, wait: bool) -> None:
        """Cancel a run, once. The run's end shows whether it had an effect."""
        creation.cancelled = action
        path = f"/threads/{creation.thread_id}/runs/{creation.run_id}/cancel?action={action}&wait={int(wait)}"
        try:
            response = await self.sent("POST", path)
        except Unanswered:
            self.ledger.counts["unanswered cancels"] += 1
            return
        if response.status_code not in (200, 202, 404):
            self.ledger.violations.append(f"cancel answered {response.status_code} {response.text[:300]}")
