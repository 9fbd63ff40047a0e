"""A bulk action whose process is killed, and the process that continues it."""

from __future__ import annotations

from tests.processes.harness import STARTED_WITHIN, Site, eventually

RUNS = 300
SEED = f"from tests.support.many_runs import seed; seed({RUNS}, status='error', queue='default')"
RETRY = ("manage.py", "agents", "runs", "retry", "--matching", "status:error", "--yes")


def progress(site: Site) -> tuple[str, int]:
    """The state of the one bulk action, and how many runs were done."""
    found = site.database.rows("SELECT state, done FROM runs_bulkaction")
    return (found[0]["state"], found[0]["done"]) if found else ("", 0)


def test_a_server_continues_a_killed_command_and_no_run_is_doubled(site: Site) -> None:
    seeded = site.spawn("manage.py", "shell", "-c", SEED)
    assert seeded.wait() == 0, seeded.tail
    command = site.spawn(*RETRY)
    eventually(lambda: progress(site)[1] >= 3, timeout=STARTED_WITHIN, what="the first runs")
    command.kill()
    state, done = progress(site)
    assert (state, done < RUNS) == ("running", True)
    # Their queue is paused, so that the new runs wait.
    site.start()
    eventually(lambda: progress(site) == ("finished", RUNS), timeout=120, what="the end")
    query = "SELECT parent_id, count(*) AS count FROM runs_run WHERE parent_id IS NOT NULL GROUP BY parent_id"
    assert [row["count"] for row in site.database.rows(query)] == [1] * RUNS
