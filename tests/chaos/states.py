"""Clients' operations on a thread's state: reads, edits, history; and deletions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from tests.chaos.api import SEARCH, Api, Unanswered
from tests.chaos.ledger import CREATED, Edit, Lists, Story


async def stands(api: Api, story: Story, following: Sequence[str]) -> None:
    """Check that the thread waits before these steps."""
    state = (await api.get(f"/threads/{story.thread_id}/state")).json()
    if state.get("next") != list(following):
        api.ledger.violations.append(f"{story.thread_id} stands before {state.get('next')}, not {following}")


async def edit(
    api: Api, story: Story, text: str, *, base: Lists | None = None, checkpoint_id: str | None = None
) -> None:
    """Add a line to the thread's log, once.

    Raises Unanswered if it is unknown whether it was added.

    Args:
        base: The log of the edited checkpoint, if it is not the latest one.
    """
    act = Edit(text, {"log": [text]}, base=base)
    story.acts.append(act)
    body = {"values": {"log": [text]}} | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})
    try:
        response = await api.sent("POST", f"/threads/{story.thread_id}/state", json=body)
    except Unanswered:
        api.ledger.counts["unanswered edits"] += 1
        if not await _found(api, story, text):
            raise
    else:
        if response.status_code != 200:
            api.ledger.violations.append(
                f"edit of {story.thread_id} answered {response.status_code} {response.text[:300]}"
            )
            raise Unanswered(response.text)
    act.state = CREATED


async def _found(api: Api, story: Story, text: str) -> bool:
    """Whether an unanswered edit appears within a while."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + SEARCH
    while clock() < deadline:
        response = await api.get(f"/threads/{story.thread_id}/state")
        if response.status_code == 200 and text in (response.json()["values"].get("log") or []):
            return True
        await asyncio.sleep(0.5)
    return False


async def past(api: Api, story: Story, following: str, chance: random.Random) -> tuple[str, list[str]]:
    """One of the thread's checkpoints before a step, and its log. Raises Unanswered."""
    history = (await api.get(f"/threads/{story.thread_id}/history?limit=50")).json()
    found = [state for state in history if state["next"] == [following]]
    if not found:
        api.ledger.violations.append(f"{story.thread_id} was never before {following}: {history}"[:600])
        raise Unanswered("no checkpoint")
    state = chance.choice(found)
    return state["checkpoint"]["checkpoint_id"], list(state["values"]["log"])


async def delete(api: Api, path: str) -> str:
    """Delete a thread or a run, and retry until it is known to be gone; return "done"."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + 60
    while True:
        try:
            response = await api.sent("DELETE", path)
        except Unanswered:
            api.ledger.counts["unanswered deletions"] += 1
            if clock() > deadline:
                raise
            await asyncio.sleep(0.2)
            continue
        if response.status_code not in (204, 404):
            api.ledger.violations.append(
                f"DELETE {path} answered {response.status_code} {response.text[:300]}"
            )
        return "done"
