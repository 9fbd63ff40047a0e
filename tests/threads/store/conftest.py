from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from langgraph.store.base import BaseStore

from tests.support.api import url
from tests.threads.store.stores import opened
from threads.store.user_store import UserStore

__all__ = ["url"]


@pytest_asyncio.fixture(
    params=["memory", pytest.param("database", marks=pytest.mark.django_db(transaction=True))]
)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[BaseStore]:
    """An empty store of each kind; all behave the same."""
    async with opened(request.param) as each:
        yield each


@pytest_asyncio.fixture
async def kept(transactional_db: None) -> AsyncIterator[UserStore]:
    """The store over Django's tables."""
    async with opened("database") as each:
        assert isinstance(each, UserStore)
        yield each
