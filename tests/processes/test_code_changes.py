"""A run that is killed under one version of the code, and resumed under another that lacks its node."""

from __future__ import annotations

import json

import pytest

from tests.processes.harness import GRAPHS as ALL
from tests.processes.harness import Site
from tests.processes.invariants import sound
from tests.support.code_versions import GRAPHS


@pytest.fixture
def versions(site: Site) -> Site:
    (site.folder / "langgraph.json").write_text(json.dumps({"graphs": {**ALL, **GRAPHS}}))
    return site


@pytest.mark.parametrize(("graph", "node"), [("renamed", "b"), ("renamed_inside", "y")])
def test_a_run_whose_node_is_gone_ends_in_an_error_and_its_thread_goes_on_under_the_old_code(
    versions: Site, graph: str, node: str
) -> None:
    site = versions
    site.start(CODE_VERSION="old")
    run = site.create(graph, {"delay": 0.3}, durability="sync")
    site.executing(run, node)
    site.process.kill()
    begun = site.executed(run)
    site.start(CODE_VERSION="new")
    row = site.finish(run)
    assert row["status"] == "error"
    [event] = [each for each in site.events(run) if each["event"] == "error"]
    error = json.loads(event["data"])
    assert error["error"] == "NodeGone"
    assert f"node {node!r}" in error["message"]
    assert f"graph {graph!r}" in error["message"]
    assert site.executed(run) == begun
    assert site.process.stop() == 0
    site.start(CODE_VERSION="old")
    client = site.client()
    went_on = dict(client.runs.create(run["thread_id"], graph, input=None, stream_mode=["values"]))
    assert site.finish(went_on)["status"] == "success"
    assert site.executed(went_on)[0] == node
    assert site.process.stop() == 0
    sound(site, allowed=f"Run {run['run_id']} failed|Traceback|NodeGone")


def test_a_run_whose_next_nodes_are_all_there_goes_on_under_the_new_code(versions: Site) -> None:
    site = versions
    site.start(CODE_VERSION="old")
    run = site.create("renamed", {"delay": 0.3}, durability="sync")
    site.executing(run, "a")
    site.process.kill()
    site.start(CODE_VERSION="new")
    assert site.finish(run)["status"] == "success"
    assert site.executed(run) == ["a", "a", "b2", "c"]
    assert site.process.stop() == 0
    sound(site)
