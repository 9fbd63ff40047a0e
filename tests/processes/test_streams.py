"""Event streams of a real server: many readers, silent periods, and clients that vanish."""

from __future__ import annotations

import httpx
import pytest

from tests.processes.databases import Row
from tests.processes.harness import Site, eventually
from tests.processes.invariants import read_everything
from tests.processes.readers import RawReader, Reader


def test_a_hundred_readers_of_a_run_all_have_each_event_once(shared: Site) -> None:
    run = shared.create("steps", {"delay": 0.3}, stream_mode=["values", "updates", "debug"])
    readers = [RawReader(shared, run) for _ in range(100)]
    assert shared.finish(run)["status"] == "success"
    for reader in readers:
        reader.join(20)
        assert reader.end == "ended"
        assert reader.ids == readers[0].ids
    read_everything(shared, run, readers[0].ids)


def test_a_reader_in_the_middle_gets_what_follows(shared: Site) -> None:
    run = shared.create("steps", {"delay": 0.05})
    everything = Reader(shared, run).finish()
    for number, (epoch, seq) in enumerate(everything):
        later = RawReader(shared, run, after=f"{epoch}-{seq}")
        later.join(20)
        assert later.ids == everything[number + 1 :]


def test_a_quiet_stream_has_heartbeats(shared: Site) -> None:
    run = shared.create("sleeping", {"delay": 1.5})
    reader = RawReader(shared, run)
    shared.finish(run)
    reader.join(20)
    assert reader.end == "ended"
    assert 2 <= reader.heartbeats <= 10


def vanish(site: Site, graph: str, **fields: str) -> Row:
    """Create a run with a stream, and close the connection after its first event; return the run."""
    thread_id = site.client().threads.create()["thread_id"]
    body = {"assistant_id": graph, "input": {"log": [], "delay": 0.1}, **fields}
    url = f"{site.process.url}/threads/{thread_id}/runs/stream"
    with httpx.Client(trust_env=False) as client, client.stream("POST", url, json=body) as response:
        next(line for line in response.iter_lines() if line.startswith("data: "))
    [run] = site.client().runs.list(thread_id)
    return dict(run)


def test_a_run_may_be_cancelled_when_its_client_vanishes(shared: Site) -> None:
    run = vanish(shared, "gated", on_disconnect="cancel")
    assert shared.finish(run)["status"] == "interrupted"
    assert shared.executions(run)["after"] == 0


def test_a_run_goes_on_by_default_when_its_client_vanishes(shared: Site) -> None:
    run = vanish(shared, "steps")
    assert shared.finish(run)["status"] == "success"


@pytest.mark.parametrize("cancels", [True, False])
def test_a_reader_that_leaves_cancels_the_run_only_if_it_said_so(shared: Site, cancels: bool) -> None:
    run = shared.create("steps", {"delay": 0.3})
    reader = RawReader(shared, run, query=f"?cancel_on_disconnect={int(cancels)}")
    eventually(lambda: reader.names)
    reader.leave()
    assert shared.finish(run)["status"] == ("interrupted" if cancels else "success")
