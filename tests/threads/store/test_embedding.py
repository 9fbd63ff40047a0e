"""Embeddings and the threads that they use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from langchain_core.embeddings import Embeddings
from langgraph.store.base import ensure_embeddings

from threads.db.executors import NodeThreads
from threads.store.embedding import Index


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
