"""Stores to compare: LangGraph's own in memory, and the one over Django's tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from django.contrib.auth import get_user_model
from langgraph.store.base import BaseStore, ensure_embeddings
from langgraph.store.memory import InMemoryStore

from tests.support.driving import User
from threads.db.database import in_database, threads
from threads.store.embedding import Index, StoreConfig
from threads.store.user_store import UserStore

numbers = itertools.count()
#: The words that the vectors of `embed` count.
WORDS = ("apple", "pear", "car", "train")
FIELDS = ["text", "notes[*].text"]


def embed(texts: list[str]) -> list[list[float]]:
    """The number of occurrences of each word in a text."""
    return [[float(text.lower().split().count(word)) for word in WORDS] for text in texts]


def index(name: str = "words") -> Index:
    return Index(ensure_embeddings(embed), len(WORDS), name, tuple(FIELDS))


async def somebody() -> User:
    user = await in_database(get_user_model().objects.create_user, f"keeper-{next(numbers)}")
    return User(user.pk)


@asynccontextmanager
async def opened(kind: str, *, embedded: bool = False) -> AsyncIterator[BaseStore]:
    """An empty store."""
    if kind == "memory":
        config: Any = {"dims": len(WORDS), "embed": embed, "fields": FIELDS}
        yield InMemoryStore(index=config if embedded else None)
        return
    yield UserStore(await somebody(), StoreConfig(index=index() if embedded else None))
    threads.close()


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))
