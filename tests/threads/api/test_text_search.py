"""Finding threads by their words over HTTP, with the parts that match."""

from __future__ import annotations

import time
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from runs.identity.local import local_user_id
from tests.support.rows import make_thread, make_user
from tests.threads.texts.nasty import NASTY
from threads.api import searching
from threads.api.schemas import ThreadSearch
from threads.db.database import in_database
from threads.models import Thread, ThreadText
from threads.texts.writing import write_of

SAID = {
    "herons": "Where do grey herons nest?",
    "lake": "The lake is deep. A heron stands there.",
    "kyoto": "昨日、京都に行きました。",
    "party": "It's a \"party\" 🎉 at O'Neil's",
    "long": "word " * 30 + "needle " + "word " * 30,
}


class Filtered(NamedTuple):
    user_id: int
    filters: dict[str, Any]


def say(text: str, **fields: Any) -> Thread:
    thread = make_thread(values={"messages": [{"type": "human", "content": text}]}, **fields)
    write_of([thread])
    return thread


def said() -> dict[str, UUID]:
    user = get_user_model().objects.get(pk=local_user_id())
    say("A stranger's heron by the lake", user=make_user())
    return {name: say(text, user=user, metadata={"name": name}).id for name, text in SAID.items()}


@pytest.fixture
async def threads(url: str) -> dict[str, UUID]:
    return await in_database(said)


async def found(http: httpx.AsyncClient, text: str, **more: Any) -> list[str]:
    answer = await http.post("/threads/search", json={"text": text, "sort_order": "asc", **more})
    assert answer.status_code == 200, answer.text
    return [thread["metadata"]["name"] for thread in answer.json()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("heron", ["herons", "lake"]),
        ("HER lake", ["lake"]),
        ("herons", ["herons"]),
        ("eron", []),
        ("heron goose", []),
        ("京都", ["kyoto"]),
        ("に行き", ["kyoto"]),
        ("🎉", ["party"]),
        ("o'neil", ["party"]),
        ('"party"', ["party"]),
        ("", list(SAID)),
        ("  ", list(SAID)),
        ("?!", []),
    ],
)
async def test_words_find_threads(
    http: httpx.AsyncClient, threads: dict[str, UUID], text: str, expected: list[str]
) -> None:
    assert await found(http, text) == expected
    assert (await http.post("/threads/count", json={"text": text})).json() == len(expected)


async def test_other_conditions_and_pages_apply(http: httpx.AsyncClient, threads: dict[str, UUID]) -> None:
    assert await found(http, "heron", metadata={"name": "lake"}) == ["lake"]
    assert await found(http, "heron", status="busy") == []
    assert await found(http, "heron", limit=1, offset=1) == ["lake"]
    answer = await http.post("/threads/search", json={"text": "heron", "limit": 1})
    assert answer.headers["x-pagination-next"] == "1"


async def test_the_part_that_matches_is_shown(http: httpx.AsyncClient, threads: dict[str, UUID]) -> None:
    body = {"text": "NEEDLE", "select": ["thread_id"]}
    (thread,) = (await http.post("/threads/search", json=body)).json()
    assert thread["thread_id"] == str(threads["long"])
    assert thread["found"]["title"].startswith("word word")
    before, match, after = thread["found"]["snippet"]
    assert (before[:1], match, after[-1:]) == ("…", "needle", "…")
    assert "found" not in (await http.post("/threads/search", json={})).json()[0]


async def test_a_title_is_found_and_shown(http: httpx.AsyncClient, threads: dict[str, UUID]) -> None:
    made = (await http.post("/threads", json={"metadata": {"title": "Ornithology", "name": "new"}})).json()
    assert await found(http, "ornith") == ["new"]
    await http.patch(f"/threads/{made['thread_id']}", json={"metadata": {"title": "Birds", "renamed": True}})
    assert await found(http, "ornith") == []
    (thread,) = (await http.post("/threads/search", json={"text": "birds"})).json()
    assert thread["found"] == {"title": "Birds", "snippet": []}


async def test_strangers_and_hidden_threads_are_not_found(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, threads: dict[str, UUID]
) -> None:
    assert (await stranger.post("/threads/search", json={"text": "heron"})).json() == []
    # The mark of a user is no word.
    mark = f"@{await in_database(local_user_id)}"
    assert (await stranger.post("/threads/search", json={"text": mark})).json() == []
    await in_database(Thread.objects.filter(id=threads["lake"]).update, discarded_at="2026-01-01T00:00:00Z")
    assert await found(http, "heron") == ["herons"]


async def test_the_filter_of_an_auth_file_applies(threads: dict[str, UUID]) -> None:
    user = Filtered(await in_database(local_user_id), {"threads": {"name": "lake"}})
    shown, _ = await in_database(
        searching.page, ThreadSearch.model_validate({"text": "heron"}), principal=user
    )
    assert [each["thread_id"] for each in shown] == [str(threads["lake"])]


async def test_a_deleted_thread_has_no_text(http: httpx.AsyncClient, threads: dict[str, UUID]) -> None:
    assert (await http.delete(f"/threads/{threads['lake']}")).status_code == 204
    assert await found(http, "heron") == ["herons"]
    assert not await in_database(ThreadText.objects.filter(thread=threads["lake"]).exists)
    if connection.vendor == "sqlite":
        await in_database(check_index)


def check_index() -> None:
    """Raises an error of the database if the index differs from the table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO threads_threadtext_words(threads_threadtext_words) VALUES ('integrity-check')"
        )


@pytest.mark.parametrize("text", NASTY)
async def test_what_is_no_word_means_nothing(http: httpx.AsyncClient, url: str, text: str) -> None:
    thread = await in_database(lambda: say(text, user=get_user_model().objects.get(pk=local_user_id())))
    answer = await http.post("/threads/search", json={"text": text})
    assert answer.status_code == 200, answer.text
    # A text finds itself, if it has a word.
    words = await in_database(
        lambda: ThreadText.objects.filter(thread=thread).values_list("words", flat=True).first()
    )
    has_word = len((words or "").split()) > 1
    assert [each["thread_id"] for each in answer.json()] == (
        [str(thread.id)] if has_word or not text.strip() else []
    )


@pytest.mark.parametrize("text", ["x" * 257, "x " * 5000, 5, ["heron"], {"a": 1}, True])
async def test_other_texts_are_refused(http: httpx.AsyncClient, url: str, text: Any) -> None:
    answer = await http.post("/threads/search", json={"text": text})
    assert answer.status_code == 422
    assert "text" in answer.text


async def test_a_query_of_as_many_words_as_fit_is_answered_soon(
    http: httpx.AsyncClient, threads: dict[str, UUID]
) -> None:
    began = time.monotonic()
    assert await found(http, " ".join(chr(0x4E00 + place) for place in range(128))) == []
    assert await found(http, " ".join("abcdefghijklmnopqrstuvwxyz0123456789")) == []
    assert time.monotonic() - began < 4
