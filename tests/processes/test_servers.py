"""The same promises under other ASGI servers."""

from __future__ import annotations

import signal

import pytest

from tests.processes.harness import Site, eventually
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import RawReader, Reader

APPLICATION = "deerflow_site.asgi:application"
SERVERS = {
    "uvicorn": ("-m", "uvicorn", APPLICATION, "--lifespan", "on", "--host", "127.0.0.1", "--port", "{port}"),
    "daphne": ("-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", APPLICATION),
    "runserver": ("manage.py", "runserver", "--noreload", "127.0.0.1:{port}"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_told_to_stop_in_the_middle_of_a_run_drains_it_for_the_next_one(
    site: Site, name: str
) -> None:
    site.start(*SERVERS[name])
    run = site.create("gated")
    reader, raw = Reader(site, run), RawReader(site, run)
    site.executing(run, "gate")
    eventually(lambda: "updates" in raw.names)
    site.process.send()
    eventually(lambda: "Draining 1 runs" in site.output)
    site.open_gate()
    assert site.process.wait() in (0, -signal.SIGTERM)
    raw.join(20)
    assert raw.end
    row = site.row(run)
    assert (row["status"], row["lost_attempts"]) == ("pending", 0)
    sound(site, waiting=1)

    site.start(*SERVERS[name])
    assert site.finish(run)["status"] == "success"
    read_everything(site, run, reader.finish())
    assert site.process.stop() in (0, -signal.SIGTERM)
    assert site.executed(run) == ["before", "gate", "after", "last"]
    assert site.row(run)["attempt"] == 2
    sound(site)
