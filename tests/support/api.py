"""Fixtures of the tests that talk to the API: `pytest` finds them through the `conftest.py` of each folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.test import AsyncClient
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.support.serving import served
from threads.db.database import in_database, threads

#: Reading the machine's certificates takes longer than most tests, and no test needs them.
PLAIN: dict[str, Any] = {"timeout": 20, "verify": False}


@pytest_asyncio.fixture
async def url(transactional_db: None, run_settings: Any) -> AsyncIterator[str]:
    """The base URL of a server that executes runs; without credentials, requests act as the local user."""
    run_settings(DRAIN_SECONDS=1.0)
    async with served() as address:
        yield address
    threads.close()


@pytest_asyncio.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, **PLAIN) as client:
        yield client


@pytest_asyncio.fixture
async def sdk(url: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=url) as client:
        yield client


@pytest_asyncio.fixture
async def stranger(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another, logged-in user."""
    cookies = await in_database(logged_in, "stranger")
    headers = {"X-CSRFToken": cookies[django_settings.CSRF_COOKIE_NAME]}
    async with httpx.AsyncClient(base_url=url, cookies=cookies, headers=headers, **PLAIN) as client:
        yield client


def logged_in(username: str, **fields: Any) -> dict[str, str]:
    """The cookies of a user who has just logged in, with a CSRF cookie."""
    user = get_user_model().objects.create_user(username, password="a good password", **fields)
    client = AsyncClient()
    client.force_login(user)
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    return {django_settings.SESSION_COOKIE_NAME: session, django_settings.CSRF_COOKIE_NAME: "a" * 32}
