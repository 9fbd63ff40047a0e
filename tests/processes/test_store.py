"""The store of real servers: every process reads the writes of any other, also after a kill."""

from __future__ import annotations

import json

import pytest

from tests.processes.databases import ROOT
from tests.processes.harness import Site, free_port

STORE = {
    "index": {
        "embed": str(ROOT / "tests" / "threads" / "store" / "stores.py") + ":embed",
        "dims": 4,
        "fields": ["word"],
    },
    "ttl": {"default_ttl": 60},
}


def configure(site: Site) -> None:
    content = {"graphs": {"remembering": "tests.support.memories:remembering"}, "store": STORE}
    (site.folder / "langgraph.json").write_text(json.dumps(content))


def remember(site: Site) -> None:
    """Execute the graph, and find its stored item."""
    run = site.create("remembering", {"word": "apple"})
    assert site.client().runs.join(run["thread_id"], run["run_id"])["seen"] == [
        "context",
        "injected",
        "runtime",
    ]


def kept(site: Site) -> list[str]:
    found = site.client().store.search_items(["memories"], query="apple", filter={"word": "apple"})["items"]
    assert all(item["score"] == pytest.approx(1.0) for item in found)
    return sorted(item["key"] for item in found)


def test_what_a_run_kept_outlives_its_server(site: Site) -> None:
    configure(site)
    server = site.start()
    remember(site)
    server.kill()
    again = site.start()
    assert kept(site) == ["context", "injected", "runtime"]
    assert again.stop() == 0


@pytest.mark.postgresql
def test_what_a_worker_process_kept_is_read_where_requests_are_served(site: Site) -> None:
    configure(site)
    worker = site.worker()
    serving = site.start("manage.py", "serve", "--no-execute", "--port", "{port}", port=free_port())
    remember(site)
    assert kept(site) == ["context", "injected", "runtime"]
    assert (worker.stop(), serving.stop()) == (0, 0)
