"""A user's deletion whose process is killed, and the pass of retention that finishes it."""

from __future__ import annotations

from tests.processes.harness import STARTED_WITHIN, Site, eventually

THREADS = 1500
SEED = f"from tests.support.many_runs import seed; seed({THREADS}, status='success', queue='default')"
WHO = (
    "SELECT u.id, u.username, u.is_active FROM auth_user u JOIN threads_thread t ON t.user_id = u.id LIMIT 1"
)
LONG_AGO = "UPDATE runs_erasure SET touched_at = '2000-01-01 00:00:00'"


def count(site: Site, table: str) -> int:
    found: int = site.database.rows(f"SELECT count(*) AS count FROM {table}")[0]["count"]
    return found


def test_a_killed_deletion_is_finished_by_the_next_pass(site: Site) -> None:
    seeded = site.spawn("manage.py", "shell", "-c", SEED)
    assert seeded.wait() == 0, seeded.tail
    [user] = site.database.rows(WHO)
    command = site.spawn("manage.py", "agents", "users", "delete", user["username"], "--yes")
    eventually(
        lambda: count(site, "threads_thread") < THREADS, timeout=STARTED_WITHIN, what="the first threads"
    )
    command.kill()
    [left] = site.database.rows(WHO)
    assert (left["id"], bool(left["is_active"])) == (user["id"], False)
    assert count(site, "runs_erasure") == 1
    site.database.execute(LONG_AGO)
    swept = site.spawn("manage.py", "prune")
    assert swept.wait() == 0, swept.tail
    assert "1 users whose deletion was cut off" in swept.tail
    assert (count(site, "threads_thread"), count(site, "runs_run"), count(site, "runs_erasure")) == (0, 0, 0)
    assert site.database.rows(f"SELECT id FROM auth_user WHERE id = {user['id']}") == []
