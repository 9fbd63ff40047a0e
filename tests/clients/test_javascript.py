"""`@langchain/langgraph-sdk` as it is on npm, every method of its client, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.control import run_script
from tests.processes.harness import Site
from tests.processes.proxy import Proxy

HERE = Path(__file__).parent


@pytest.mark.sqlite
@pytest.mark.parametrize("part", ["assistants", "threads", "crons", "store"])
def test_each_method_of_the_client(part: str, either: Site) -> None:
    run_script(HERE / f"{part}.mjs", either)


def test_each_method_of_the_client_that_is_about_runs(either: Site) -> None:
    run_script(HERE / "runs.mjs", either)


@pytest.mark.sqlite
def test_streams_in_each_mode(either: Site) -> None:
    run_script(HERE / "streams.mjs", either)


@pytest.mark.sqlite
@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_agent_streaming_protocol(transport: str, either: Site) -> None:
    run_script(HERE / "protocol.mjs", either, TRANSPORT=transport)


def test_streams_go_on_after_the_server_died(own: Site) -> None:
    with Proxy(own.port) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        run_script(HERE / "reconnects.mjs", own, timeout=120, more={"cut": proxy.cut}, PROXY_URL=address)


@pytest.mark.sqlite
@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_pages_are_reloaded_in_the_middle_of_runs(transport: str, obeying: Site) -> None:
    run_script(HERE / "reloads.mjs", obeying, TRANSPORT=transport)
