"""The guarantees of the store over Django's tables beyond LangGraph's interface."""

from __future__ import annotations

import asyncio
import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from langgraph.store.base import GetOp, Item, PutOp, SearchOp

from runs import deletion
from tests.support.rows import make_thread
from tests.threads.store.stores import WORDS, cosine, embed, index, somebody
from threads.checkpoints import Fenced, Sealed
from threads.db import clock
from threads.db.database import in_database
from threads.models import StoreItem, Thread
from threads.store import filters, items, writes
from threads.store.embedding import StoreConfig
from threads.store.exceptions import (
    EmbeddingFailed,
    InvalidFilter,
    InvalidIndex,
    InvalidKey,
    InvalidTtl,
    InvalidValue,
)
from threads.store.user_store import UserStore
from threads.store.writes import Fence

FACTS = ("users", "7", "facts")


async def expire(key: str) -> None:
    """Let an item expire."""
    await in_database(StoreItem.objects.filter(key=key).update, expires_at=clock.now() - timedelta(seconds=1))


async def expiry(key: str) -> Any:
    row = await in_database(StoreItem.objects.get, key=key)
    return row.expires_at


async def in_queries(call: Any, *arguments: Any, **options: Any) -> tuple[Any, list[tuple[str, Any]]]:
    """Call on a database thread; return its result, and its statements with their parameters."""

    def counted() -> tuple[Any, list[tuple[str, Any]]]:
        statements: list[tuple[str, Any]] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if sql.split(maxsplit=1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                statements.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note), transaction.atomic():
            result = call(*arguments, **options)
        return result, statements

    return await in_database(counted)


def explained(sql: str, params: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(row[0] for row in cursor.fetchall())


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE threads_storeitem")


# --- ownership of items


async def test_two_users_never_see_each_other_s_items(kept: UserStore) -> None:
    other = UserStore(await somebody(), StoreConfig(index=index()))
    mine = UserStore(kept._principal, StoreConfig(index=index()))
    for store, name in ((mine, "mine"), (other, "other")):
        await store.aput(FACTS, "name", {"text": "apple", "of": name})
        await store.aput(("only", name), name, {"text": "apple"})
    for store, name, foreign in ((mine, "mine", "other"), (other, "other", "mine")):
        item = await store.aget(FACTS, "name")
        assert item is not None and item.value["of"] == name
        assert await store.aget(("only", foreign), foreign) is None
        for options in ({}, {"query": "apple"}, {"filter": {"text": "apple"}}):
            found = await store.asearch((), **options)
            assert {each.value.get("of", name) for each in found} == {name}, options
            assert len(found) == 2
        assert (("only", foreign)) not in await store.alist_namespaces()
        assert await store.alist_namespaces(suffix=(foreign,)) == []
    await other.adelete(("only", "mine"), "mine")
    await other.adelete(FACTS, "name")
    assert len(await mine.asearch(())) == 2


async def test_a_read_puts_off_nobody_else_s_expiry(kept: UserStore) -> None:
    await kept.aput(FACTS, "name", {}, ttl=10)
    row = await in_database(StoreItem.objects.get, key="name")
    aged = clock.now() + timedelta(minutes=1)
    await in_database(StoreItem.objects.update, expires_at=aged)
    found = [items.Found(row.id, row.namespace, "name", {}, row.created_at, row.updated_at, 10.0, aged, 2)]
    await in_database(items.refresh, await somebody(), found)
    assert await expiry("name") == aged
    await in_database(items.refresh, kept._principal, found)
    assert await expiry("name") > aged + timedelta(minutes=8)


# --- valid values


@pytest.mark.parametrize(
    ("key", "value", "options", "error"),
    [
        ("", {}, {}, InvalidKey),
        ("k\0", {}, {}, InvalidKey),
        ("\ud800", {}, {}, InvalidKey),
        ("k" * 1025, {}, {}, InvalidKey),
        ("k", [1], {}, InvalidValue),
        ("k", {"x": object()}, {}, InvalidValue),
        ("k", {"x": "\ud800"}, {}, InvalidValue),
        ("k", {1: "x"}, {}, InvalidValue),
        ("k", {}, {"ttl": 0}, InvalidTtl),
        ("k", {}, {"ttl": float("nan")}, InvalidTtl),
        ("k", {}, {"ttl": "5"}, InvalidTtl),
        ("k", {}, {"index": [1]}, InvalidIndex),
        ("k", {}, {"index": "text"}, InvalidIndex),
    ],
)
def test_what_cannot_be_kept_is_refused_in_a_sentence(
    key: str, value: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    async def put() -> None:
        store = UserStore(make_nobody(), StoreConfig())
        with pytest.raises(error) as caught:
            # The first operation is valid, but none is done if one is invalid: there is no database here.
            await store.abatch([PutOp(FACTS, "fine", {}), PutOp(FACTS, key, value, **options)])
        assert str(caught.value).endswith((".", "Got: ()"))

    asyncio.run(put())


def make_nobody() -> Any:
    class Nobody:
        user_id = 0

    return Nobody()


async def test_values_and_keys_may_hold_what_json_and_text_can(kept: UserStore) -> None:
    value = {
        "nul": "a\0b",
        "quote": "'\"\\",
        "emoji": "🦜",
        "": [{"": None}],
        "big": 2**53,
        "%s": "{}",
        "$": 1.5e300,
    }
    keys = ["'; DROP TABLE x; --", "a.b", "%", "_", "🦜", " ", "x" * 1024, "*"]
    await kept.abatch([PutOp(("na me", "%", "🦜", "*"), key, value) for key in keys])
    found = await kept.asearch(("na me", "%"), limit=20)
    assert sorted(item.key for item in found) == sorted(keys)
    assert all(item.value == value for item in found)
    assert await kept.asearch(("na me", "_")) == []
    for wanted in ({"nul": "a\0b"}, {"quote": "'\"\\"}, {"emoji": "🦜"}, {"%s": "{}"}, {"$": 1.5e300}):
        assert len(await kept.asearch((), filter=wanted, limit=20)) == len(keys), wanted


async def test_a_text_that_no_database_has_finds_nothing(kept: UserStore) -> None:
    await kept.aput(FACTS, "k", {})
    assert await kept.aget(FACTS, "k\0") is None
    assert await kept.aget(FACTS, "\ud800") is None
    assert await kept.asearch(("\ud800",)) == []
    assert await kept.alist_namespaces(prefix=("\ud800",)) == []


@pytest.mark.parametrize(
    "wanted", [{"a": {"$in": [1]}}, {"a": {"$gt": None}}, {"a": {"$gt": 1, "b": 2}}, {"a": object()}]
)
def test_a_filter_that_is_none_is_refused(wanted: dict[str, Any]) -> None:
    async def search() -> None:
        with pytest.raises(InvalidFilter):
            await UserStore(make_nobody(), StoreConfig()).asearch((), filter=wanted)

    asyncio.run(search())


async def test_what_cannot_be_compared_is_neither_more_nor_less(kept: UserStore) -> None:
    await kept.aput(FACTS, "date", {"at": "2026-11-24", "n": "10"})
    await kept.aput(FACTS, "none", {"at": None})
    for wanted, found in [
        ({"at": {"$gt": "2026-01-01"}}, ["date"]),
        ({"at": {"$lt": "2026-01-01"}}, []),
        ({"at": {"$gt": 5}}, []),
        ({"n": {"$gt": 9}}, ["date"]),
    ]:
        assert [item.key for item in await kept.asearch(FACTS, filter=wanted)] == found, wanted


# --- batches


async def test_concurrent_puts_of_one_key_end_as_one(kept: UserStore) -> None:
    await asyncio.gather(*(kept.aput(FACTS, "k", {"n": number}) for number in range(20)))
    found = await kept.asearch(FACTS)
    assert len(found) == 1 and found[0].value["n"] in range(20)
    assert await in_database(StoreItem.objects.count) == 1


async def test_batches_of_the_same_keys_in_any_order_do_not_block_each_other(kept: UserStore) -> None:
    forth = [PutOp(FACTS, f"k{number}", {"n": number}) for number in range(30)]
    await asyncio.gather(*(kept.abatch(forth if turn % 2 else forth[::-1]) for turn in range(8)))
    assert await in_database(StoreItem.objects.count) == 30


async def test_a_batch_takes_few_statements_however_many_operations(kept: UserStore) -> None:
    user = kept._principal
    counts = []
    for size in (2, 50):
        rows = [
            kept._row(items.Place(FACTS, f"k{n}"), PutOp(FACTS, f"k{n}", {}), "{}", b"") for n in range(size)
        ]  # type: ignore[arg-type]
        gone = [items.Place(("gone",), f"g{n}") for n in range(size)]
        places = [items.Place(FACTS, f"k{n}") for n in range(size)]
        _, written = await in_queries(writes.write, user, rows, gone, fence=None)
        found, read = await in_queries(items.get, user, places, refreshed=places)
        assert len(found) == size
        counts.append((len(written), len(read)))
    assert counts[0] == counts[1]
    assert counts[0] == (2, 1)


async def test_the_event_loop_goes_on_while_the_store_works(kept: UserStore) -> None:
    with pytest.raises(RuntimeError, match="would block the event loop"):
        kept.get(FACTS, "k")
    held, free = asyncio.Event(), asyncio.Event()

    async def tick() -> None:
        held.set()
        await free.wait()

    ticking = asyncio.create_task(tick())
    await kept.aput(FACTS, "k", {})
    assert held.is_set()
    free.set()
    await ticking


# --- newest first


async def test_a_search_begins_with_what_was_put_last(kept: UserStore) -> None:
    for key in ("a", "b", "c"):
        await kept.aput(FACTS, key, {"x": 1})
    await kept.aput(FACTS, "a", {"x": 1})
    assert [item.key for item in await kept.asearch(FACTS)] == ["a", "c", "b"]
    assert [item.key for item in await kept.asearch(FACTS, filter={"x": 1}, limit=2)] == ["a", "c"]


@pytest.mark.parametrize("bounds", [{"PAGE": 3}, {"PAGE_BYTES": 70}, {"PAGE_BYTES": 1}])
async def test_pages_of_rows_are_joined_without_gap_or_repeat(
    kept: UserStore, monkeypatch: pytest.MonkeyPatch, bounds: dict[str, int]
) -> None:
    for name, most in bounds.items():
        monkeypatch.setattr(items, name, most)
    # In one batch, so that many have equal times.
    await kept.abatch([PutOp(("p", str(n % 4)), f"k{n:02}", {"n": n, "text": "apple"}) for n in range(14)])
    everything = [f"k{n:02}" for n in range(14)]
    found = await kept.asearch(("p",), filter={"n": {"$gte": 0}}, limit=20)
    assert sorted(item.key for item in found) == everything
    found = await kept.asearch(("p",), filter={"n": {"$lt": 2}}, limit=20)
    assert sorted(item.key for item in found) == ["k00", "k01"]
    semantic = UserStore(kept._principal, StoreConfig(index=index()))
    found = await semantic.asearch(("p",), query="apple", limit=20)
    assert sorted(item.key for item in found) == everything


async def test_items_are_compared_beside_the_event_loop(
    kept: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: set[str] = set()
    original = filters._same

    def same(found: Any, wanted: Any) -> bool:
        compared.add(threading.current_thread().name)
        return original(found, wanted)

    monkeypatch.setattr(filters, "_same", same)
    semantic = UserStore(kept._principal, StoreConfig(index=index()))
    await semantic.aput(FACTS, "k", {"text": "apple", "n": 1})
    for query in (None, "apple"):
        assert len(await semantic.asearch(FACTS, query=query, filter={"n": 1})) == 1
    assert compared and threading.current_thread().name not in compared


# --- times to live


async def test_an_item_expires_and_one_put_in_its_place_is_new(kept: UserStore) -> None:
    await kept.aput(FACTS, "k", {"n": 1}, ttl=0.5)
    await kept.aput(FACTS, "other", {"n": 2})
    first = await kept.aget(FACTS, "k")
    assert first is not None
    await expire("k")
    assert await kept.aget(FACTS, "k") is None
    assert [item.key for item in await kept.asearch(FACTS)] == ["other"]
    assert [item.key for item in await kept.asearch(FACTS, filter={"n": {"$gt": 0}})] == ["other"]
    await kept.aput(FACTS, "k", {"n": 3})
    again = await kept.aget(FACTS, "k")
    assert again is not None and again.created_at > first.created_at
    assert await expiry("k") is None


async def test_a_namespace_of_expired_items_alone_is_not_listed(kept: UserStore) -> None:
    await kept.aput(("gone",), "k", {}, ttl=1)
    await expire("k")
    assert await kept.alist_namespaces() == []


async def test_reads_put_the_expiry_off_unless_told_not_to(kept: UserStore) -> None:
    reads: list[Any] = [
        lambda **options: kept.aget(FACTS, "k", **options),
        lambda **options: kept.asearch(FACTS, **options),
        lambda **options: kept.asearch(FACTS, filter={"n": 1}, **options),
    ]
    await kept.aput(FACTS, "k", {"n": 1}, ttl=10)
    for read in reads:
        aged = clock.now() + timedelta(minutes=1)
        await in_database(StoreItem.objects.update, expires_at=aged)
        await read(refresh_ttl=False)
        assert await expiry("k") == aged
        await read()
        refreshed = await expiry("k")
        assert timedelta(minutes=9.9) < refreshed - clock.now() <= timedelta(minutes=10)
        await read()
        assert await expiry("k") == refreshed, "a refresh with little effect is skipped"


async def test_the_site_says_how_long_an_item_is_kept_whose_put_does_not(kept: UserStore) -> None:
    store = UserStore(kept._principal, StoreConfig(default_ttl=5.0, refresh_on_read=False))
    await store.aput(FACTS, "default", {})
    await store.aput(FACTS, "for ever", {}, ttl=None)
    await store.aput(FACTS, "longer", {}, ttl=50)
    assert await expiry("for ever") is None
    assert timedelta(minutes=4.9) < await expiry("default") - clock.now() <= timedelta(minutes=5)
    assert await expiry("longer") - clock.now() > timedelta(minutes=49)
    aged = clock.now() + timedelta(minutes=1)
    await in_database(StoreItem.objects.filter(key="default").update, expires_at=aged)
    await store.aget(FACTS, "default")
    assert await expiry("default") == aged


async def test_what_has_expired_is_removed_in_bounded_batches(kept: UserStore) -> None:
    await kept.abatch([PutOp(FACTS, f"k{n}", {}, ttl=1) for n in range(7)])
    for n in range(5):
        await expire(f"k{n}")
    steps = await deletion.in_turns(deletion.expired_items(rows=2))
    assert steps == [("store_items", 2), ("store_items", 2), ("store_items", 1)]
    assert sorted(await in_database(lambda: list(StoreItem.objects.values_list("key", flat=True)))) == [
        "k5",
        "k6",
    ]


# --- runs


async def test_a_run_that_lost_its_thread_writes_nothing(kept: UserStore) -> None:
    thread = await in_database(make_thread, epoch=3)
    store = UserStore(kept._principal, StoreConfig(), fence=Fence(thread.id, 3))
    await store.aput(FACTS, "k", {"n": 1})
    await in_database(Thread.objects.filter(id=thread.id).update, epoch=4)
    for ops in ([PutOp(FACTS, "k", {"n": 2})], [PutOp(FACTS, "k", None)], [PutOp(FACTS, "new", {})]):
        with pytest.raises(Fenced):
            await store.abatch(ops)
    assert [(item.key, item.value) for item in await store.asearch(FACTS)] == [("k", {"n": 1})]


async def test_a_sealed_store_is_read_and_not_written(kept: UserStore) -> None:
    await kept.aput(FACTS, "k", {"n": 1})
    kept.seal()
    with pytest.raises(Sealed):
        await kept.aput(FACTS, "k", {"n": 2})
    item = await kept.aget(FACTS, "k")
    assert item is not None and item.value == {"n": 1}


# --- embeddings


async def test_a_query_ranks_by_the_cosine_of_the_nearest_text(kept: UserStore) -> None:
    store = UserStore(kept._principal, StoreConfig(index=index()))
    texts = {"fruit": "apple pear", "apples": "apple", "cars": "car car train"}
    for key, text in texts.items():
        await store.aput(FACTS, key, {"text": text, "kind": key[0]})
    await store.aput(FACTS, "notes", {"notes": [{"text": "train"}, {"text": "pear"}]})
    await store.aput(FACTS, "hidden", {"text": "apple"}, index=False)
    await store.aput(FACTS, "path", {"text": "car", "title": "pear"}, index=["title"])
    found = await store.asearch(("users",), query="apple", limit=20)
    assert [item.key for item in found][:2] == ["apples", "fruit"]
    assert {item.key for item in found if item.score is None} == {"hidden"}
    assert found[-1].key == "hidden"
    for item in found[:2]:
        expected = cosine(embed([texts[item.key]])[0], embed(["apple"])[0])
        assert item.score == pytest.approx(expected, abs=1e-6)
    pears = await store.asearch(FACTS, query="pear", limit=2)
    assert {item.key for item in pears} == {"notes", "path"}
    assert [item.score for item in pears] == pytest.approx([1.0, 1.0], abs=1e-6)
    pages = [await store.asearch(FACTS, query="apple", limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [item.key for page in pages for item in page] == [item.key for item in found]
    (only,) = await store.asearch(FACTS, query="apple", filter={"kind": "c"})
    assert only.key == "cars" and only.score == pytest.approx(0.0, abs=1e-6)


async def test_a_put_without_texts_takes_the_vectors_away(kept: UserStore) -> None:
    store = UserStore(kept._principal, StoreConfig(index=index()))
    await store.aput(FACTS, "k", {"text": "apple"})
    assert (await store.asearch(FACTS, query="apple"))[0].score == pytest.approx(1.0)
    await store.aput(FACTS, "k", {"text": "apple"}, index=False)
    assert (await store.asearch(FACTS, query="apple"))[0].score is None


async def test_vectors_of_another_embedding_are_not_compared(kept: UserStore) -> None:
    await UserStore(kept._principal, StoreConfig(index=index("old"))).aput(FACTS, "k", {"text": "apple"})
    (item,) = await UserStore(kept._principal, StoreConfig(index=index("new"))).asearch(FACTS, query="apple")
    assert item.score is None


async def test_without_an_embedding_a_query_is_ignored(kept: UserStore) -> None:
    await kept.aput(FACTS, "k", {"text": "pear"}, index=["text"])
    (item,) = await kept.asearch(FACTS, query="apple")
    assert (item.key, item.score) == ("k", None)


async def test_an_embedding_that_fails_stores_nothing(kept: UserStore) -> None:
    from langgraph.store.base import ensure_embeddings

    from threads.store.embedding import Index

    async def down(texts: list[str]) -> list[list[float]]:
        raise ConnectionError("the model is down")

    wrong = iter(
        [
            lambda texts: [[1.0]] * len(texts),
            lambda texts: [],
            lambda texts: [[float("nan")] * 4] * len(texts),
        ]
    )
    for function in itertools.chain([down], wrong):
        store = UserStore(
            kept._principal, StoreConfig(index=Index(ensure_embeddings(function), len(WORDS), "x", ("text",)))
        )
        with pytest.raises(EmbeddingFailed):
            await store.aput(FACTS, "k", {"text": "apple"})
        await store.aput(FACTS, "unembedded", {"text": "apple"}, index=False)
        with pytest.raises(EmbeddingFailed):
            await store.asearch(FACTS, query="apple")
    assert await kept.aget(FACTS, "k") is None


# --- query plans


@pytest.mark.postgresql
async def test_gets_and_searches_use_their_indexes(kept: UserStore) -> None:
    user = kept._principal
    for principal in (user, *[await somebody() for _ in range(4)]):
        ops = [PutOp(("n", f"{n % 50:02}"), f"k{n}", {"n": n}) for n in range(1000)]
        await UserStore(principal, StoreConfig()).abatch(ops)
    place = items.Place(("n", "07"), "k7")
    calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (items.get, (user, [place]), {"refreshed": []}),
        (items.newest, (user, ("n", "07"), []), {"limit": 10}),
        (items.newest, (user, (), []), {"limit": 10}),
        (items.newest, (user, ("n",), ['"kind":"x"']), {}),
        (items.embedded, (user, ("n", "07"), []), {"after": None, "values": False}),
        (writes.remove_overdue, (), {"limit": 10}),
    ]

    await in_database(analyze)
    for call, arguments, options in calls:
        _, statements = await in_queries(call, *arguments, **options)
        sql, params = next(each for each in statements if each[0].startswith("SELECT"))
        plan = await in_database(explained, sql, params)
        assert "Seq Scan" not in plan, plan
        assert "store_items_" in plan, plan


async def test_an_item_is_what_langgraph_calls_one(kept: UserStore) -> None:
    await kept.aput(FACTS, "k", {"n": 1})
    results = await kept.abatch([GetOp(FACTS, "k"), SearchOp(FACTS)])
    assert type(results[0]) is Item
    assert results[0].dict()["namespace"] == list(FACTS) or tuple(results[0].dict()["namespace"]) == FACTS
