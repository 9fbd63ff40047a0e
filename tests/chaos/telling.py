"""One conversation of a user, while another user tries to read it."""

from __future__ import annotations

import asyncio
import random
import uuid

from tests.chaos.api import Api, Unanswered
from tests.chaos.ledger import USERS, Story
from tests.chaos.scripts import SCRIPTS
from tests.chaos.shaped_scripts import SHAPED

ALL = [*SCRIPTS, *SHAPED]
#: How often another user tries, and when, in seconds after the start.
OFTEN, WHEN = 0.4, (0.0, 4.0)
#: The other user's requests, about a thread and its last run.
ROUTES = (
    ("GET", "/threads/{thread}"),
    ("GET", "/threads/{thread}/state"),
    ("GET", "/threads/{thread}/history"),
    ("GET", "/threads/{thread}/runs/{run}"),
    ("GET", "/threads/{thread}/runs/{run}/stream"),
    ("GET", "/threads/{thread}/runs/{run}/join"),
    ("POST", "/threads/{thread}/runs/{run}/cancel"),
    ("POST", "/threads/{thread}/state"),
    ("DELETE", "/threads/{thread}/runs/{run}"),
    ("DELETE", "/threads/{thread}"),
)


async def tell(api: Api, seed: int, number: int) -> None:
    """Hold the conversation with this number."""
    chance = random.Random(f"{seed}/{number}")
    kind, _, script = chance.choices(ALL, [weight for _, weight, _ in ALL])[0]
    owner, stranger = chance.sample(USERS, 2)
    story = Story(kind, str(uuid.UUID(int=chance.getrandbits(128), version=4)), user=owner)
    api.ledger.stories.append(story)
    prying = asyncio.create_task(pry(api.of(stranger), story, random.Random(chance.random())))
    try:
        await script(api.of(owner), story, chance, f"r{number}")
        story.ended = True
    except Unanswered:
        pass
    finally:
        prying.cancel()


async def pry(api: Api, story: Story, chance: random.Random) -> None:
    """Request another user's rows: they must not exist."""
    if chance.random() > OFTEN:
        return
    await asyncio.sleep(chance.uniform(*WHEN))
    run = next((each.run_id for each in story.creations if each.run_id), "")
    method, path = chance.choice(ROUTES)
    if not run and "{run}" in path:
        return
    body = {"json": {"values": {"log": ["stranger"]}}} if method == "POST" else {}
    path = path.format(thread=story.thread_id, run=run)
    try:
        response = await api.sent(method, path, **body)
    except Unanswered:
        return
    api.ledger.counts["strangers"] += 1
    # A stream reports the error by an event, as on the reference server.
    if response.status_code != 404 and "404: Run not found" not in response.text:
        api.ledger.violations.append(
            f"{api.user} asked {method} {path} of {story.user}: {response.status_code} {response.text[:300]}"
        )
