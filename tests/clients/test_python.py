"""The Python SDK, sync and async: every public method of its clients is called against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.calls import CALLS
from tests.clients.python import Both, methods
from tests.processes.harness import Site

pytestmark = pytest.mark.sqlite

#: The methods that close a client, which each test calls.
ENDS = {True: "close", False: "aclose"}
FUNCTIONS = list(dict.fromkeys(CALLS.values()))


@pytest.fixture(params=[True, False], ids=["sync", "async"])
def client(request: pytest.FixtureRequest, either: Site) -> Iterator[Both]:
    made = Both(either.process.url, sync=request.param)
    yield made
    made.close()
    assert ENDS[made.sync] in made.calls


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_what_the_table_says_is_called(function: Any, client: Both) -> None:
    function(client)
    entered = {name for name, tried in CALLS.items() if tried is function}
    assert entered <= client.calls, "The table names methods that its function does not call."


def test_every_method_has_an_entry(client: Both) -> None:
    assert methods(client.client) - {ENDS[client.sync]} == set(CALLS)
