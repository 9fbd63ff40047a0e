"""SIGKILL: the next process finds the runs of the killed one, and resumes them."""

from __future__ import annotations

import json
import random
import signal
import time

import httpx
import pytest

from tests.processes.databases import Row
from tests.processes.harness import STEPS, Site, eventually, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import Reader

KILLED = -signal.SIGKILL
#: The time from the server's first answer until a lost run resumes, in seconds.
RESUMES_WITHIN = 2.0


def repeated_only_what_was_cut_off(segments: list[list[str]], *, durability: str) -> None:
    """Between two kills, only steps that the previous kill interrupted were repeated."""
    before: list[str] = []
    for segment in segments:
        again = set(before) & set(segment)
        latest = list(dict.fromkeys(reversed(before)))
        # In `async` the superstep before the interrupted one may not have landed yet.
        assert again <= set(latest[: 1 if durability == "sync" else 2]), (before, segment)
        assert len(segment) == len(set(segment)), segment
        before += segment


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_runs_killed_anywhere_go_on_at_once_and_repeat_only_what_was_cut_off(
    site: Site, durability: str
) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    site.start()
    runs = [
        site.create("steps", {"delay": chance.uniform(0.05, 0.3)}, durability=durability) for _ in range(10)
    ]
    readers = [Reader(site, run) for run in runs[:3]]
    segments: dict[str, list[list[str]]] = {run["run_id"]: [] for run in runs}
    cut_off: list[tuple[Row, int, float]] = []
    starts: list[float] = []
    for _ in range(2):
        time.sleep(chance.uniform(0, 0.7))
        site.process.kill()
        rows = [(run, site.row(run)) for run in runs]
        lost = [(run, row["attempt"]) for run, row in rows if row["status"] == "running"]
        for run in runs:
            done = sum(len(segment) for segment in segments[run["run_id"]])
            segments[run["run_id"]].append(site.executed(run)[done:])
        starts.append(site.start().ready_at)
        cut_off += [(run, attempt, site.process.ready_at) for run, attempt in lost]
    assert cut_off
    for run in runs:
        finished = site.finish(run)
        assert finished["status"] == "success"
        assert site.values(run)["log"] == STEPS
        done = sum(len(segment) for segment in segments[run["run_id"]])
        repeated_only_what_was_cut_off(
            [*segments[run["run_id"]], site.executed(run)[done:]], durability=durability
        )
        # A process may be killed before it finds the runs of the previous one: that is one lost attempt.
        kills = len({attempt for lost, attempt, _ in cut_off if lost is run})
        assert (finished["lost_attempts"], finished["attempt"]) == (kills, kills + 1)
    for run, attempt, ready_at in cut_off:
        began = site.attempts(run).get(attempt + 1)
        if began is None:
            # An attempt that was killed at its start may have left nothing in the log.
            assert any(lost is run and number == attempt + 1 for lost, number, _ in cut_off)
            continue
        # If a server is killed before it claims the run, the next one claims it.
        since = max([start for start in starts if ready_at <= start <= began], default=ready_at)
        assert began - since <= within(RESUMES_WITHIN)
    for run, reader in zip(runs, readers, strict=False):
        read_everything(site, run, reader.finish())
    assert site.process.stop() == 0
    sound(site)


def test_a_killed_parallel_step_repeats_only_its_unfinished_branches(site: Site) -> None:
    site.start()
    run = site.create("parallel", {"delay": 0.5}, durability="sync")
    site.executing(run, "b2")
    site.process.kill()
    site.start()
    assert site.finish(run)["status"] == "success"
    assert site.values(run)["log"] == ["a", "b1", "b2", "c"]
    assert site.executions(run) == {"a": 1, "b1": 2, "b2": 2, "c": 1}
    assert site.process.stop() == 0
    sound(site)


def test_a_run_killed_right_after_its_claim_is_executed_once(site: Site) -> None:
    site.start(FAILPOINT="claimed")
    with pytest.raises(httpx.TransportError):
        site.create("steps")
    assert site.process.wait() == KILLED
    [row] = site.database.rows("SELECT * FROM runs_run")
    assert row["status"] == "running"
    run = {"run_id": row["id"], "thread_id": row["thread_id"]}
    site.start()
    assert site.finish(run)["status"] == "success"
    assert site.executed(run) == STEPS
    assert site.process.stop() == 0
    assert site.row(run)["lost_attempts"] == 1
    sound(site)


def test_a_run_killed_before_its_final_status_succeeds_without_executing_anything_again(site: Site) -> None:
    site.start(FAILPOINT="settling")
    run = site.create("steps", durability="sync")
    assert site.process.wait() == KILLED
    assert site.row(run)["status"] == "running"
    site.start()
    reader = Reader(site, run)
    assert site.finish(run)["status"] == "success"
    read_everything(site, run, reader.finish())
    assert site.values(run)["log"] == STEPS
    assert site.thread(run)["status"] == "idle"
    assert site.executed(run) == STEPS
    assert site.process.stop() == 0
    sound(site)


def test_a_run_killed_right_after_its_final_status_stays_final_and_its_readers_end(site: Site) -> None:
    site.start(FAILPOINT="settled")
    run = site.create("steps", {"delay": 0.05})
    reader = Reader(site, run)
    assert site.process.wait() == KILLED
    before = site.row(run)
    assert before["status"] == "success"
    site.start()
    read_everything(site, run, reader.finish())
    assert reader.parts[-1].event == "values"
    assert reader.parts[-1].data["log"] == STEPS
    assert site.process.stop() == 0
    assert site.row(run) == before
    assert site.executed(run) == STEPS
    sound(site)


def test_an_accepted_run_outlives_every_process_that_had_it(site: Site) -> None:
    site.start("manage.py", "serve", "--no-execute", "--port", "{port}")
    now, later = site.create("steps"), site.create("steps", after_seconds=6)
    accepted = time.time()
    site.process.kill()
    assert [site.row(run)["status"] for run in (now, later)] == ["pending", "pending"]
    # The next one is killed at the claim, before the run starts.
    assert site.spawn(FAILPOINT="claimed").wait() == KILLED
    assert site.row(now)["status"] == "running"
    site.start()
    for run in (now, later):
        assert site.finish(run)["status"] == "success"
        assert site.executed(run) == STEPS
    # On a slow machine the second one may have claimed it too.
    assert min(site.attempts(later).values()) >= accepted + 5
    assert site.process.stop() == 0
    sound(site)


def test_by_policy_a_lost_run_is_an_error_and_no_newer_outcome_is_touched(site: Site) -> None:
    site.start()
    lost, outdated = site.create("gated"), site.create("gated")
    reader = Reader(site, lost)
    for run in (lost, outdated):
        site.executing(run, "gate")
    site.process.kill()
    newer = succeed_later(site, outdated)
    site.start(RUN_RECOVERY="error")
    read_everything(site, lost, reader.finish())
    message = "The server restarted before this run reached a durable final state."
    assert reader.parts[-1].event == "error"
    assert reader.parts[-1].data == {"error": "WorkerLost", "message": message}
    for run in (lost, outdated):
        row = site.row(run)
        assert (row["status"], row["attempt"]) == ("error", 1)
        assert message in str(row["error"])
    assert site.thread(lost)["status"] == "error"
    assert site.thread(outdated)["status"] == "idle"
    assert site.row(newer)["status"] == "success"
    answer = site.client().runs.join(lost["thread_id"], lost["run_id"])
    assert answer["__error__"]["message"] == message
    site.open_gate()
    assert site.finish(site.create("gated", thread=lost["thread_id"]))["status"] == "success"
    assert site.thread(lost)["status"] == "idle"
    assert site.process.stop() == 0
    assert site.executed(lost) == ["before", "gate"]
    sound(site)


def succeed_later(site: Site, run: Row) -> Row:
    """Insert a newer, successful run on the thread, as if it had been executed meanwhile."""
    newer = "ffffffffffff7fffbfffffffffffffff"
    changes = {"id": f"'{newer}'", "status": "'success'", "worker_id": "NULL", "created_at": "updated_at"}
    changes["finished_at"] = "updated_at"
    columns = list(site.row(run))
    selected = ", ".join(changes.get(column, column) for column in columns)
    compact = run["run_id"].replace("-", "")
    site.database.execute(
        f"INSERT INTO runs_run ({', '.join(columns)}) SELECT {selected} FROM runs_run WHERE id = '{compact}'"
    )
    site.database.execute(
        "INSERT INTO runs_runevent (run_id, epoch, seq, event, data, created_at) "
        f"SELECT '{newer}', epoch, seq, event, data, created_at FROM runs_runevent "
        f"WHERE run_id = '{compact}' AND seq = 1"
    )
    thread = run["thread_id"].replace("-", "")
    site.database.execute(f"UPDATE threads_thread SET status = 'idle' WHERE id = '{thread}'")
    return next(
        {"run_id": row["id"], "thread_id": row["thread_id"]}
        for row in site.database.rows("SELECT id, thread_id FROM runs_run")
        if row["id"].replace("-", "") == newer
    )


def test_a_run_that_kills_its_process_each_time_ends_in_error_and_the_server_lives_on(site: Site) -> None:
    site.start()
    run = site.create("poison")
    assert site.process.wait() == KILLED
    for attempt in (2, 3):
        assert site.spawn().wait() == KILLED
        assert site.row(run)["attempt"] == attempt
    site.start()
    row = eventually(lambda: (found := site.row(run))["status"] == "error" and found)
    assert (row["attempt"], row["lost_attempts"]) == (3, 3)
    error = json.loads(row["error"]) if isinstance(row["error"], str) else row["error"]
    assert error["error"] == "WorkerLost"
    assert "lost in 3 of its 3 attempts" in error["message"]
    assert sorted(site.attempts(run)) == [1, 2, 3]
    assert site.thread(run)["status"] == "error"
    assert site.executions(run) == {"before": 1, "kill": 3}
    reader = Reader(site, run)
    read_everything(site, run, reader.finish())
    assert reader.names[-1] == "error"
    assert site.finish(site.create("steps"))["status"] == "success"
    assert site.process.stop() == 0
    sound(site)
