"""The store over Django's tables behaves like LangGraph's own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from threads.db.namespaces import encode
from threads.store import items
from threads.store.user_store import UserStore

FACTS = ("users", "7", "facts")


async def keys(store: BaseStore, prefix: tuple[str, ...], **options: Any) -> list[str]:
    return sorted(item.key for item in await store.asearch(prefix, **options))


async def test_what_was_put_is_got_until_it_is_deleted(store: BaseStore) -> None:
    assert await store.aget(FACTS, "name") is None
    value = {"first": "Ada", "list": [1, 2.5, None, True], "deep": {"é.\"'$[0]": {"x": []}}}
    await store.aput(FACTS, "name", value)
    item = await store.aget(FACTS, "name")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (FACTS, "name", value)
    assert abs(item.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert item.updated_at >= item.created_at
    assert await store.aget(("users", "7"), "name") is None
    assert await store.aget((*FACTS, "name"), "name") is None
    await store.adelete(FACTS, "name")
    await store.adelete(FACTS, "name")
    assert await store.aget(FACTS, "name") is None


async def test_a_put_replaces_the_whole_value(store: BaseStore) -> None:
    await store.aput(FACTS, "name", {"first": "Ada", "last": "Lovelace"})
    before = await store.aget(FACTS, "name")
    await store.aput(FACTS, "name", {"first": "Grace"})
    after = await store.aget(FACTS, "name")
    assert before is not None and after is not None
    assert after.value == {"first": "Grace"}
    assert after.updated_at > before.updated_at


async def test_nothing_is_shared_with_the_caller(store: BaseStore) -> None:
    value = {"a": 1}
    await store.aput(FACTS, "x", value)
    value["a"] = 2
    item = await store.aget(FACTS, "x")
    assert item is not None and item.value == {"a": 1}


async def test_the_synchronous_calls_do_the_same(store: BaseStore) -> None:
    def use() -> Any:
        store.put(FACTS, "x", {"a": 1})
        store.put(FACTS, "y", {"a": 2})
        store.delete(FACTS, "y")
        return store.get(FACTS, "x"), store.search(FACTS), store.list_namespaces(prefix=("users",))

    item, found, namespaces = await asyncio.to_thread(use)
    assert item.value == {"a": 1}
    assert [each.key for each in found] == ["x"]
    assert namespaces == [FACTS]


async def test_a_namespace_that_is_none_is_refused(store: BaseStore) -> None:
    no_namespaces: list[Any] = [
        (), ("",), ("a", ""), ("a.b",), (".",), ("langgraph",), ("langgraph", "x"), ("a", 7), ("a\0",),
    ]  # fmt: skip
    for namespace in no_namespaces:
        with pytest.raises(InvalidNamespaceError):
            await store.aput(namespace, "x", {"a": 1})
    assert await store.asearch(()) == []


PREFIXES: list[tuple[tuple[str, ...], list[str]]] = [
    ((), ["a", "a-b", "a/", "ab", "deep", "ä"]),
    (("a",), ["a", "deep"]),
    (("a", "b"), ["deep"]),
    (("a", "b", "c"), ["deep"]),
    (("a-",), []),
    (("ä",), ["ä"]),
    (("b",), []),
    (("%",), []),
    (("A",), []),
]


async def test_a_prefix_is_one_of_whole_labels(store: BaseStore) -> None:
    for label in ("a", "ab", "a-b", "a/", "ä"):
        await store.aput((label,), label, {"n": 1})
    await store.aput(("a", "b", "c"), "deep", {"n": 1})
    for prefix, found in PREFIXES:
        assert await keys(store, prefix) == found, prefix


VALUES: dict[str, dict[str, Any]] = {
    "one": {"n": 1, "kind": "fact", "ok": True, "tags": ["a", "b"], "who": {"name": "Ada", "age": 36}},
    "two": {"n": 2.0, "kind": "fact", "ok": False, "tags": ["a"], "who": {"name": "Grace", "age": 35}},
    "three": {"n": 3, "kind": "Fact", "tags": [], "a.b": "dotted", 'q"\\': 'it\'s "quoted" \n'},
    "four": {"n": -4, "kind": "ein Fäktum 🦜", "a": {"b": "nested"}, "$x": "dollar", "none": None},
}


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["four", "one", "three", "two"]),
    ({"kind": "fact"}, ["one", "two"]),
    ({"kind": "fac"}, []),
    ({"kind": "ein Fäktum 🦜"}, ["four"]),
    ({"kind": {"$eq": "fact"}}, ["one", "two"]),
    ({"kind": {"$ne": "fact"}}, ["four", "three"]),
    ({"n": 2}, ["two"]),
    ({"n": {"$eq": 1.0}}, ["one"]),
    ({"n": {"$gt": 1}}, ["three", "two"]),
    ({"n": {"$gte": 2}}, ["three", "two"]),
    ({"n": {"$lt": 1}}, ["four"]),
    ({"n": {"$lte": 1}}, ["four", "one"]),
    ({"n": {"$gt": 0, "$lt": 3}}, ["one", "two"]),
    ({"n": {"$gt": 0}, "kind": "fact", "ok": True}, ["one"]),
    ({"ok": {"$ne": True}}, ["four", "three", "two"]),
    ({"tags": ["a"]}, ["two"]),
    ({"tags": []}, ["three"]),
    ({"who": {"name": "Ada"}}, ["one"]),
    ({"who": {"age": {"$gte": 36}}}, ["one"]),
    ({"who": {"name": {"$ne": "Ada"}}}, ["two"]),
    ({"who": {"$eq": {"age": 35, "name": "Grace"}}}, ["two"]),
    ({"a.b": "dotted"}, ["three"]),
    ({"a": {"b": "nested"}}, ["four"]),
    ({'q"\\': 'it\'s "quoted" \n'}, ["three"]),
    ({"$x": "dollar"}, ["four"]),
    ({"none": None}, ["four", "one", "three", "two"]),
    ({"absent": "x"}, []),
    ({"') OR 1=1 --": "x"}, []),
    ({"kind": "%"}, []),
]


async def test_a_filter_compares_values(store: BaseStore) -> None:
    for key, value in VALUES.items():
        await store.aput(FACTS, key, value)
    for wanted, found in FILTERS:
        assert await keys(store, ("users",), filter=wanted) == found, wanted


async def test_an_operator_that_is_not_known_is_refused(store: BaseStore) -> None:
    await store.aput(FACTS, "x", {"n": 1})
    with pytest.raises(ValueError, match=r"\$regex"):
        await store.asearch(FACTS, filter={"n": {"$regex": "."}})


async def test_limits_and_offsets_page_through_everything_once(store: BaseStore) -> None:
    for number in range(7):
        await store.aput(("pages", str(number % 2)), f"k{number}", {"even": number % 2 == 0})
    for options, count in (({}, 7), ({"filter": {"even": True}}, 4)):
        seen: list[str] = []
        for offset in range(0, 9, 3):
            seen += [item.key for item in await store.asearch(("pages",), limit=3, offset=offset, **options)]
        assert len(seen) == len(set(seen)) == count
    assert len(await store.asearch(("pages",))) == 7
    assert await store.asearch(("pages",), limit=0) == []
    for number in range(7, 12):
        await store.aput(("pages", "more"), f"k{number}", {})
    assert len(await store.asearch(("pages",))) == 10


NAMESPACES = [
    ("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "b", "f"), ("a", "c", "f"), ("b", "a", "f"),
    ("users", "123"), ("a-x", "f"),
]  # fmt: skip


LISTINGS: list[dict[str, Any]] = [
    {},
    {"prefix": ("a",)},
    {"prefix": ("a", "b")},
    {"prefix": ("a", "*", "f")},
    {"prefix": ("*", "b")},
    {"prefix": ("*",)},
    {"prefix": ("a", "b", "c", "d")},
    {"suffix": ("f",)},
    {"suffix": ("*", "f")},
    {"suffix": ("c", "*")},
    {"prefix": ("a",), "suffix": ("f",)},
    {"prefix": ("a", "b"), "suffix": ("b", "*")},
    {"max_depth": 1},
    {"max_depth": 2},
    {"prefix": ("a", "b"), "max_depth": 3},
    {"suffix": ("f",), "max_depth": 1},
    {"limit": 3},
    {"limit": 3, "offset": 2},
    {"max_depth": 2, "limit": 2, "offset": 1},
    {"offset": 100},
    {"prefix": ("nothing",)},
]


async def test_namespaces_are_listed_alike(kept: UserStore) -> None:
    memory = InMemoryStore()
    for store in (memory, kept):
        for namespace in NAMESPACES:
            await store.aput(namespace, "k", {})
            await store.aput(namespace, "l", {})
    for options in LISTINGS:
        # LangGraph's memory store sorts them as tuples, its databases as texts, where "a-x" comes before
        # "a.b".
        offset, limit = options.get("offset", 0), options.get("limit", 100)
        every = await memory.alist_namespaces(**{**options, "offset": 0, "limit": 100})
        wanted = sorted(every, key=encode)[offset : offset + limit]
        assert await kept.alist_namespaces(**options) == wanted, options


async def test_a_page_of_namespaces_reads_no_more_than_it_takes(
    kept: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "PAGE", 5)
    every = [(f"n{number:02}", "x") for number in range(20)]
    for namespace in every:
        for key in "klm":
            await kept.aput(namespace, key, {})
    read: list[str] = []
    namespaces = items.namespaces

    def counted(*args: Any, **options: Any) -> list[str]:
        page = namespaces(*args, **options)
        read.extend(page)
        return page

    monkeypatch.setattr(items, "namespaces", counted)
    assert await kept.alist_namespaces(limit=4) == every[:4]
    assert len(read) == 5
    assert await kept.alist_namespaces(limit=4, offset=4) == every[4:8]
    assert len(read) == 15
    assert await kept.alist_namespaces(max_depth=1, limit=100) == [each[:1] for each in every]
    assert await kept.alist_namespaces(suffix=("y",)) == []


async def test_all_conditions_of_a_listing_hold(store: BaseStore) -> None:
    await store.aput(("a", "b"), "k", {})
    await store.aput(("a", "c"), "k", {})
    both = [MatchCondition("prefix", ("a",)), MatchCondition("prefix", ("*", "b"))]
    assert await store.abatch([ListNamespacesOp(match_conditions=tuple(both))]) == [[("a", "b")]]


async def test_a_batch_answers_in_its_order_and_reads_what_was_there_before(store: BaseStore) -> None:
    await store.aput(FACTS, "old", {"n": 1})
    results = await store.abatch(
        [
            PutOp(FACTS, "new", {"n": 2}),
            GetOp(FACTS, "new"),
            GetOp(FACTS, "old"),
            PutOp(FACTS, "old", None),
            SearchOp(FACTS),
            ListNamespacesOp(match_conditions=(MatchCondition("prefix", ("users",)),)),
            GetOp(FACTS, "old"),
            PutOp(FACTS, "twice", {"n": 3}),
            PutOp(FACTS, "twice", {"n": 4}),
            PutOp(FACTS, "gone", {"n": 5}),
            PutOp(FACTS, "gone", None),
            PutOp(FACTS, "back", None),
            PutOp(FACTS, "back", {"n": 6}),
        ]
    )
    assert [type(each).__name__ for each in results] == [
        "NoneType", "NoneType", "Item", "NoneType", "list", "list", "Item", *["NoneType"] * 6,
    ]  # fmt: skip
    assert (results[2].value, results[6].value) == ({"n": 1}, {"n": 1})
    assert [item.key for item in results[4]] == ["old"]
    assert results[5] == [FACTS]
    left = {item.key: item.value["n"] for item in await store.asearch(FACTS)}
    assert left == {"new": 2, "twice": 4, "back": 6}


async def test_an_empty_batch_does_nothing(store: BaseStore) -> None:
    assert await store.abatch([]) == []
