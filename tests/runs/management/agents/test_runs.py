"""`agents runs`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from runs.models import Run, RunEvent
from tests.support.commands import Agents
from tests.support.rows import make_assistant, make_run, make_thread, make_user
from threads.db import clock
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)


def waiting(**fields: Any) -> Run:
    asked = {"task": [{"id": "q1", "value": "Really?"}]}
    return make_run("success", thread=make_thread(status="interrupted", interrupts=asked, epoch=1), **fields)


def listed(agents: Agents, *arguments: str) -> set[str]:
    return {run["run_id"] for run in agents("runs", "list", "--json", *arguments).json["runs"]}


def test_the_list_shows_each_run_newest_first(agents: Agents) -> None:
    old = make_run("error", age=120, error={"error": "ValueError", "message": "kaboom"})
    new = waiting(age=60)
    found = agents("runs", "list")
    header, first, second = found.out.splitlines()
    assert header.split() == ["STATUS", "RUN", "GRAPH", "USER", "CREATED", "TOOK", "ATTEMPT", "ERROR"]
    assert first.startswith(f"waiting  {new.id}")
    assert second.startswith("error")
    assert second.endswith("ValueError: kaboom")
    assert (found.code, found.err) == (0, "")
    rows = agents("runs", "list", "--json").json["runs"]
    assert [row["run_id"] for row in rows] == [str(new.id), str(old.id)]
    assert rows[0]["waits_for_answer"]
    assert rows[1]["error"] == {"error": "ValueError", "message": "kaboom"}
    assert [row["run_id"] for row in agents("runs", "list", "--jsonl").lines] == [str(new.id), str(old.id)]


def test_only_the_last_run_of_a_thread_waits_for_an_answer(agents: Agents) -> None:
    last = waiting(age=60)
    answered = make_run("success", thread=last.thread, age=120)
    assert listed(agents, "--status", "waiting") == {str(last.id)}
    assert listed(agents, "--status", "success", "--status", "waiting") == {str(last.id), str(answered.id)}
    rows = agents("runs", "list", "--json").json["runs"]
    assert [row["waits_for_answer"] for row in rows] == [True, False]
    for verb in ("show", "tail"):
        assert agents("runs", verb, str(last.id), "--exit-status").code == 11
        assert agents("runs", verb, str(answered.id), "--exit-status").code == 0
    assert "It asks" not in agents("runs", "show", str(answered.id)).out


def test_the_list_is_filtered_and_bounded(agents: Agents) -> None:
    ada = make_user()
    mine = make_run("running", thread=make_thread(user=ada, status="busy"), queue="slow", age=10)
    other = make_run("error", age=20, assistant=make_assistant("talking"))
    asks = waiting(age=7200)
    assert listed(agents, "--user", ada.username) == {str(mine.id)}
    assert listed(agents, "--queue", "slow") == {str(mine.id)}
    assert listed(agents, "--status", "error", "--status", "running") == {str(mine.id), str(other.id)}
    assert listed(agents, "--status", "waiting") == {str(asks.id)}
    assert listed(agents, "--assistant", "talking") == {str(other.id)}
    assert listed(agents, "--thread", str(other.thread_id)) == {str(other.id)}
    assert listed(agents, "--since", "1h") == {str(mine.id), str(other.id)}
    assert listed(agents, "--limit", "1") == {str(mine.id)}
    assert "--limit shows more" in agents.err
    nothing = agents("runs", "list", "--user", "nobody")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "There are no such runs.\n")


def test_a_run_is_shown_by_any_end_of_its_id_and_without_secrets(agents: Agents) -> None:
    run = make_run("success", kwargs={"input": {"x": 1}, "config": {"configurable": {"api_key": "sesame"}}})
    for text in (str(run.id), run.id.hex, run.id.hex[:30], run.id.hex[-8:]):
        shown = agents("runs", "show", text, "--json").json["run"]
        assert shown["run_id"] == str(run.id)
    assert shown["kwargs"]["input"] == {"x": 1}
    assert "sesame" not in agents.out
    text = agents("runs", "show", run.id).out
    assert text.startswith(f"Run {run.id}\n  status")
    assert "sesame" not in text


def test_ids_that_begin_alike_are_refused(agents: Agents) -> None:
    for last in (1, 2):
        make_run(id=UUID(int=0xABCD << 112 | last))
    assert agents("runs", "show", "abcd").code == 1
    assert "several runs" in agents.err


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: make_run("success"), 0),
        (lambda: make_run("error"), 10),
        (waiting, 11),
        (lambda: make_run("interrupted"), 12),
        (lambda: make_run("timeout"), 13),
        (lambda: make_run("pending"), 14),
        (lambda: make_run("running"), 14),
    ],
)
def test_exit_statuses(agents: Agents, make: Any, code: int) -> None:
    run = make()
    assert agents("runs", "show", run.id).code == 0
    assert agents("runs", "show", run.id, "--exit-status").code == code
    assert agents("runs", "tail", run.id, "--exit-status").code == code


def test_tail_prints_what_happened_and_goes_on_after_an_id(agents: Agents, executed: Any) -> None:
    run = executed("talking", {"messages": ["hello"], "tokens": 3})
    whole = agents("runs", "tail", run.id, "--json")
    assert whole.code == 0
    names = [line["event"] for line in whole.lines]
    assert names[0] == "metadata"
    assert {"tasks", "checkpoints", "messages"} <= {name.partition("|")[0] for name in names}
    later = agents("runs", "tail", run.id, "--json", "--since", whole.lines[0]["id"]).lines
    assert [line["id"] for line in later] == [
        line["id"] for line in agents("runs", "tail", run.id, "--json").lines[1:]
    ]
    text = agents("runs", "tail", run.id, "--follow", "--exit-status")
    assert text.code == 0
    spoken = [line for line in text.out.splitlines() if line.split()[1] == "messages"]
    assert len(spoken) < names.count("messages") or names.count("messages") == 1, (
        "pieces of a message are one line"
    )
    assert "▶ talk" in text.out
    assert "■ talk" in text.out


def test_cancel_one(agents: Agents) -> None:
    run, done = make_run(), make_run("success")
    found = agents("runs", "cancel", run.id, "--reason", "not needed", "--json").json
    assert found["runs"] == [{"run_id": str(run.id), "outcome": "cancelled before it was executing"}]
    run.refresh_from_db()
    assert run.status == "interrupted"
    action = run.actions.get()
    assert (action.kind, action.reason, action.origin) == ("cancel", "not needed", "command")
    refused = agents("runs", "cancel", done.id)
    assert refused.code == 1
    assert "has ended (success)" in refused.out


def test_cancel_many_needs_a_yes(agents: Agents) -> None:
    ids = {str(make_run(queue="slow").id) for _ in range(3)}
    spared = make_run()
    refused = agents("runs", "cancel", "--all-matching", "--queue", "slow")
    assert refused.code == 2
    assert "3 runs in flight match" in refused.err
    assert not Run.objects.filter(status="interrupted").exists()
    found = agents("runs", "cancel", "--all-matching", "--queue", "slow", "--yes", "--json")
    assert {each["run_id"] for each in found.json["runs"]} == ids
    spared.refresh_from_db()
    assert spared.status == "pending"
    assert agents("runs", "cancel", "--all-matching", "--queue", "slow", "--yes").code == 0, "nothing is left"


def test_cancel_with_rollback_removes_a_run_that_has_not_begun(agents: Agents) -> None:
    run = make_run()
    assert agents("runs", "cancel", run.id, "--action", "rollback").code == 0
    assert not Run.objects.filter(id=run.id).exists()


def test_retry_makes_a_new_run_that_executes(agents: Agents, executed: Any) -> None:
    run = executed("failing")
    found = agents("runs", "retry", run.id, "--reason", "mended", "--json").json
    assert found["parent_run_id"] == str(run.id)
    again = executed(run=Run.objects.get(id=found["run_id"]))
    assert (again.status, again.parent_id, again.thread_id) == ("error", run.id, run.thread_id)
    pending = make_run()
    refused = agents("runs", "retry", pending.id)
    assert refused.code == 1
    assert "still pending" in refused.err


def test_requeue_needs_a_running_run(agents: Agents) -> None:
    run = make_run("running")
    assert agents("runs", "requeue", run.id, "--json").json["outcome"] == "asked to stop at its next step"
    run.refresh_from_db()
    assert run.requeue_requested_at is not None
    assert agents("runs", "requeue", make_run().id).code == 1


def test_answer_goes_on(agents: Agents, executed: Any) -> None:
    run = executed("asking")
    assert agents("runs", "show", run.id, "--exit-status").code == 11
    assert "question" in agents.out
    found = agents("runs", "answer", run.id, '"fine"', "--json").json
    done = executed(run=Run.objects.get(id=found["run_id"]))
    assert done.status == "success"
    assert "answer=fine" in done.thread.values["log"]
    assert agents("runs", "answer", run.id, '"again"').code == 1
    assert "no question waits" in agents.err


def test_of_several_questions_each_is_named(agents: Agents) -> None:
    run = waiting()
    Thread.objects.filter(id=run.thread_id).update(
        interrupts={"task": [{"id": "q1", "value": "a"}, {"id": "q2", "value": "b"}]}
    )
    refused = agents("runs", "answer", run.id, "1")
    assert refused.code == 1
    assert "2 questions wait" in refused.err
    assert agents("runs", "answer", run.id, "1", "--by-id").code == 2
    assert agents("runs", "answer", run.id, '{"other": 1}', "--by-id").code == 1
    assert "q1, q2" in agents.err


def test_fork_from_a_checkpoint_and_with_an_edited_state(agents: Agents, executed: Any) -> None:
    run = executed("steps")
    states = agents("threads", "history", run.thread_id, "--json").json["states"]
    third = next(each for each in states if each["next"] == ["s3"])
    found = agents("runs", "fork", run.id, "--at", third["checkpoint_id"], "--json").json
    forked = executed(run=Run.objects.get(id=found["run_id"]))
    assert forked.thread.values["log"] == [f"s{number}" for number in range(10)]
    edited = agents(
        "runs",
        "fork",
        run.id,
        "--at",
        third["checkpoint_id"],
        "--values",
        '{"log": ["edited"]}',
        "--as-node",
        "s8",
        "--json",
    ).json
    done = executed(run=Run.objects.get(id=edited["run_id"]))
    assert done.thread.values["log"] == ["s0", "s1", "s2", "edited", "s9"]
    assert agents("runs", "fork", run.id).code == 2


def test_a_run_is_exported_and_imported_elsewhere(agents: Agents, executed: Any, tmp_path: Path) -> None:
    run = executed("steps")
    exported = agents("runs", "export", run.id)
    assert exported.code == 0
    events = list(
        RunEvent.objects.filter(run_id=run.id).order_by("epoch", "seq").values_list("epoch", "seq", "event")
    )
    kinds = [line["type"] for line in exported.lines]
    assert kinds == ["run", "attempt", *["event"] * len(events)]
    assert f"with {len(events)} events" in exported.err
    file = tmp_path / "run.jsonl"
    file.write_text(exported.out)
    user = make_user()
    again = agents("runs", "import", file, "--user", user.username)
    assert again.code == 1
    assert "exists already" in again.err
    before = agents("runs", "tail", run.id, "--json").out
    Thread.objects.filter(id=run.thread_id).delete()
    found = agents("runs", "import", file, "--user", user.username, "--json").json
    copy = Run.objects.select_related("thread").get(id=found["run_id"])
    assert (copy.id, copy.status, copy.user_id, copy.attempt) == (run.id, "success", user.pk, 1)
    assert copy.thread.values == run.thread.values
    assert agents("runs", "tail", run.id, "--json").out == before


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"type": "event"}', '{"type": "run", "id": "x"}'])
def test_what_is_no_exported_run_is_refused(agents: Agents, tmp_path: Path, content: str) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    assert agents("runs", "import", file, "--user", make_user().username).code == 1
    assert agents.err.count("\n") == 1
    assert not Run.objects.exists()


def test_a_file_that_breaks_off_leaves_nothing(agents: Agents, executed: Any, tmp_path: Path) -> None:
    run = executed("steps")
    lines = agents("runs", "export", run.id).out.splitlines()
    broken = json.loads(lines[-1])
    del broken["id"]
    file = tmp_path / "file"
    file.write_text("\n".join([lines[0], json.dumps(broken)]))
    Thread.objects.all().delete()
    assert agents("runs", "import", file, "--user", make_user().username).code == 1
    assert not Run.objects.exists()
    assert not Thread.objects.exists()


def test_an_unfinished_run_is_imported_as_cancelled(agents: Agents, tmp_path: Path) -> None:
    run = make_run("running", started_at=clock.now() - timedelta(seconds=3))
    file = tmp_path / "file"
    file.write_text(agents("runs", "export", run.id).out)
    run.thread.delete()
    assert agents("runs", "import", file, "--user", make_user().username).code == 0
    assert Run.objects.get().status == "interrupted"
