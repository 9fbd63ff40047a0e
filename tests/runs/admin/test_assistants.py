"""Assistants in the admin: their versions with what each changed, and the picture of their graphs."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from runs.models import AssistantVersion
from runs.models.assistant_version import DEFINITION
from tests.runs.admin.test_run_page import elsewhere
from tests.support.admin_site import page, sign_in
from tests.support.driving import Driver
from tests.support.rows import make_assistant, make_user
from threads.db import clock
from threads.db.database import in_database


@pytest.mark.django_db
def test_versions_say_what_each_changed_without_secrets() -> None:
    assistant = make_assistant(user=make_user(), name="Ada", version=2)
    given = {name: getattr(assistant, name) for name in DEFINITION}
    for version, tone in ((1, "<b>dry</b>"), (2, "warm")):
        changed = {**given, "context": {"tone": tone, "api_key": f"canary-{version}"}}
        AssistantVersion.objects.create(
            assistant=assistant, version=version, created_at=clock.now(), **changed
        )
    html = sign_in(is_superuser=True).get(page(assistant)).content.decode()
    table = html[html.index("<h2>Versions</h2>") :]
    assert "2 (present)" in table and "The first version" in table
    assert "<b>context</b>" in table and "warm" in table and "&lt;b&gt;dry" in table
    assert "canary" not in html
    assert "<b>name</b>" not in table


async def test_the_picture_of_an_assistants_graph(driver: Driver) -> None:
    client = await in_database(sign_in, is_superuser=True)
    assistant = await in_database(make_assistant, "failing")
    address = f"/admin/runs/assistant/{assistant.pk}/graph/"
    found = (await asyncio.to_thread(elsewhere, client.get, address)).json()
    assert {"id": "boom"} in found["nodes"]
    gone = await in_database(make_assistant, "no-such-graph", user=await in_database(make_user))
    refused = (
        await asyncio.to_thread(elsewhere, client.get, f"/admin/runs/assistant/{gone.pk}/graph/")
    ).json()
    assert refused["why"].startswith("The graph cannot be drawn")
    unknown = await asyncio.to_thread(elsewhere, client.get, f"/admin/runs/assistant/{uuid4()}/graph/")
    assert unknown.status_code == 404
