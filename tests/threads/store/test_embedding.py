"""Embeddings and the threads that they use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from langchain_core.embeddings import Embeddings
from langgraph.store.base import ensure_embeddings

from threads.db.executors import NodeThreads
from threads.store.embedding import LONGEST_PATH, MOST_PATHS, Index, check_paths
from threads.store.exceptions import InvalidIndex


class Synchronous(Embeddings):
    """A model without asynchronous methods. It notes the threads that it is called on."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        self.threads.append(threading.current_thread().name)
        return [[1.0, 0.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


async def test_embeddings_do_not_wait_for_threads_of_nodes() -> None:
    nodes, release = NodeThreads(1, "nodes"), threading.Event()
    asyncio.get_running_loop().set_default_executor(nodes)
    hanging = asyncio.get_running_loop().run_in_executor(None, release.wait, 30)
    model, called = Synchronous(), list[str]()

    def function(texts: Sequence[str]) -> list[list[float]]:
        called.append(threading.current_thread().name)
        return [[1.0, 0.0] for _ in texts]

    try:
        async with asyncio.timeout(5):
            for each in (model, ensure_embeddings(function)):
                index = Index(each, 2, "model")
                assert len(await index.vectors([["a"], []])) == 2
                assert await index.query("a") == (1.0, 0.0)
    finally:
        release.set()
        await hanging
    assert all(name.startswith("embedding-") for name in (*model.threads, *called))
    assert (len(model.threads), len(called)) == (2, 2)


@pytest.mark.parametrize(
    "paths",
    [
        ["a"] * MOST_PATHS,
        ["{" + ",".join(["a"] * MOST_PATHS) + "}"],
        ["a" * LONGEST_PATH],
        ["a.b[*].{c,d}", "$"],
    ],
)
def test_paths_may_be_so_many_and_so_long(paths: list[str]) -> None:
    assert check_paths(paths) == paths


@pytest.mark.parametrize(
    "paths",
    [
        ["a"] * (MOST_PATHS + 1),
        ["{" + ",".join(["a"] * (MOST_PATHS + 1)) + "}"],
        ["{a,a}"] * (MOST_PATHS // 2 + 1),
        ["a" * (LONGEST_PATH + 1)],
        ["[" * 1_000_000],
        ["a\0"],
    ],
)
def test_other_paths_are_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidIndex, match="at most"):
        check_paths(paths)


def test_texts_are_few() -> None:
    index = Index(Synchronous(), 2, "model")
    value = {"a": ["x"] * 60, "b": ["y"] * 60}
    assert index.texts(value, ["a[*]"]) == ["x"] * 60
    with pytest.raises(InvalidIndex, match="at most 100 are embedded"):
        index.texts(value, ["a[*]", "b[*]"])
