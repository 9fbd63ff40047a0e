"""ThreadWriter: shield, track, seal, retry, fence; and that stock savers read what it writes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base import id as ids
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs.conf import settings
from threads.checkpoints import (
    CheckpointStorage,
    Fenced,
    Sealed,
    StorageFailed,
    StorageUnavailable,
    ThreadWriter,
    open_checkpoints,
)
from threads.checkpoints.commits import GroupCommit, Refused, Unavailable
from threads.checkpoints.rows import Batch, Rows, merge
from threads.db.database import in_database, threads
from threads.models import Thread


@pytest.fixture
async def storage(transactional_db: None, run_settings: Any) -> AsyncIterator[CheckpointStorage]:
    serde = JsonPlusSerializer(allowed_msgpack_modules=())
    async with open_checkpoints(file=settings.CHECKPOINTS_FILE, serde=serde, retry_seconds=1.0) as opened:
        yield opened
    threads.close()


def make_thread() -> Thread:
    now = timezone.now()
    user, _ = get_user_model().objects.get_or_create(username="u")
    return Thread.objects.create(user=user, epoch=2, created_at=now, updated_at=now, state_updated_at=now)


async def put(
    writer: ThreadWriter, thread: Thread, number: int, parent: str | None = None, **values: Any
) -> str:
    """Save a checkpoint with these values; return its id."""
    checkpoint = empty_checkpoint()
    checkpoint["id"] = f"{number:032}"
    checkpoint["channel_values"] = values
    versions = {name: writer.get_next_version(None, None) for name in values}
    checkpoint["channel_versions"] = versions
    configurable = {"thread_id": str(thread.id), "checkpoint_ns": "", "checkpoint_id": parent}
    saved = await writer.aput(
        {"configurable": configurable}, checkpoint, {"step": number, "run_id": "r"}, versions
    )
    return str(saved["configurable"]["checkpoint_id"])


def config(thread: Thread) -> Any:
    return {"configurable": {"thread_id": str(thread.id), "checkpoint_ns": ""}}


async def test_a_stock_saver_reads_what_the_writer_wrote(storage: CheckpointStorage) -> None:
    thread = await in_database(make_thread)
    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2)
    values = {
        "text": "plain", "integer": 7, "none": None, "flag": True, "list": [1, {"a": "b"}], "nul": "a\x00b",
        "nan": float("inf"), "bytes": b"\x00\xff",
    }  # fmt: skip
    first = await put(writer, thread, 1, **values)
    place: Any = {"configurable": {"thread_id": str(thread.id), "checkpoint_ns": "", "checkpoint_id": first}}
    await writer.aput_writes(place, [("text", "x"), ("list", [2])], "task-1", "path")
    found = await storage.reader().aget_tuple(config(thread))
    assert found is not None
    assert found.checkpoint["channel_values"] == values
    assert found.metadata["run_id"] == "r"
    assert found.pending_writes == [("task-1", "text", "x"), ("task-1", "list", [2])]


@pytest.mark.postgresql
async def test_integers_of_any_size_are_kept_as_the_stock_saver_keeps_them(
    storage: CheckpointStorage,
) -> None:
    thread = await in_database(make_thread)
    await put(ThreadWriter(storage, thread_id=thread.id, epoch=2), thread, 1, huge=2**70)
    found = await storage.reader().aget_tuple(config(thread))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"huge": 2**70}


async def test_writes_that_queue_up_share_a_transaction(storage: CheckpointStorage) -> None:
    batches: list[Batch] = []
    commit = storage.commits._commit

    async def counted(batch: Batch) -> set[uuid.UUID]:
        batches.append(batch)
        return await commit(batch)

    storage.commits._commit = counted
    owners = [await in_database(make_thread) for _ in range(10)]
    writers = [ThreadWriter(storage, thread_id=thread.id, epoch=2) for thread in owners]
    await asyncio.gather(
        *(put(writer, thread, 1, a=[1]) for writer, thread in zip(writers, owners, strict=True))
    )
    assert len(batches) < 10
    assert sum(len(batch.checkpoints) for batch in batches) == 10


async def test_a_write_that_began_lands_although_its_task_is_cancelled(storage: CheckpointStorage) -> None:
    thread = await in_database(make_thread)
    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2)
    for number in range(1, 4):
        task = asyncio.create_task(put(writer, thread, number, a=[number]))
        await asyncio.sleep(0)
        assert writer.busy
        for _ in range(number):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        found = await storage.reader().aget_tuple(config(thread))
        assert found is not None
        assert found.checkpoint["channel_values"]["a"] == [number]


async def test_a_value_that_cannot_be_encoded_is_a_failed_write(storage: CheckpointStorage) -> None:
    """In `async` durability LangGraph would execute all following nodes, and raise at the end."""
    thread = await in_database(make_thread)
    failures: list[Exception] = []
    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2, on_failure=failures.append)
    with pytest.raises(TypeError, match="serializable"):
        await put(writer, thread, 1, a=[asyncio.Lock()])
    assert [type(failure) for failure in failures] == [TypeError]


async def test_a_sealed_writer_refuses_writes_and_quiesce_waits_for_those_in_flight(
    storage: CheckpointStorage,
) -> None:
    thread = await in_database(make_thread)
    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2)
    task = asyncio.create_task(put(writer, thread, 1, a=[1]))
    await asyncio.sleep(0)
    await writer.quiesce()
    assert not writer.busy
    await task
    writer.seal()
    with pytest.raises(Sealed):
        await put(writer, thread, 2, a=[2])
    assert len([each async for each in storage.reader().alist(config(thread))]) == 1


async def test_a_closed_storage_refuses_writes(storage: CheckpointStorage) -> None:
    thread = await in_database(make_thread)
    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2)
    await storage.commits.close()
    with pytest.raises(Sealed):
        await put(writer, thread, 1, a=[1])


async def test_a_lost_epoch_refuses_that_threads_rows_alone(storage: CheckpointStorage) -> None:
    mine, other = await in_database(make_thread), await in_database(make_thread)
    failures: list[Exception] = []
    zombie = ThreadWriter(storage, thread_id=mine.id, epoch=2, on_failure=failures.append)
    healthy = ThreadWriter(storage, thread_id=other.id, epoch=2)
    await in_database(Thread.objects.filter(id=mine.id).update, epoch=3)
    results = await asyncio.gather(
        put(zombie, mine, 1, a=[1]), put(healthy, other, 1, a=[1]), return_exceptions=True
    )
    assert isinstance(results[0], Fenced)
    assert results[1] == f"{1:032}"
    assert isinstance(failures[0], Fenced)
    assert await storage.reader().aget_tuple(config(mine)) is None
    assert await storage.reader().aget_tuple(config(other)) is not None


class Flaky:
    """A commit with scripted failures."""

    def __init__(self, *errors: Exception | None, bad: str = "") -> None:
        self.errors, self.bad, self.calls = list(errors), bad, 0

    async def __call__(self, batch: Batch) -> set[uuid.UUID]:
        self.calls += 1
        if self.errors and (error := self.errors.pop(0)):
            raise error
        if any(self.bad == key[2] for key in batch.checkpoints):
            raise ValueError("bad row")
        return set(batch.fences)


def rows(checkpoint_id: str, thread: uuid.UUID | None = None, epoch: int = 1) -> Rows:
    made = Rows(thread_id=thread or uuid.uuid4(), epoch=epoch)
    made.checkpoints["", checkpoint_id] = (None, "", "")
    return made


async def test_a_passing_fault_is_retried() -> None:
    commit = Flaky(Unavailable("gone"), Unavailable("still gone"))
    commits = GroupCommit(commit, retry_seconds=5)
    await commits.submit(rows("a"))
    assert commit.calls == 3
    await commits.close()


async def test_retries_end_with_their_time() -> None:
    commits = GroupCommit(Flaky(*[Unavailable("gone")] * 50), retry_seconds=0.2)
    with pytest.raises(StorageFailed, match="unavailable"):
        await commits.submit(rows("a"))
    await commits.close()


async def test_the_end_of_retries_names_a_full_disk() -> None:
    fault = Unavailable("no space")
    fault.__cause__ = psycopg.errors.DiskFull("no space")
    commits = GroupCommit(Flaky(*[fault] * 50), retry_seconds=0.2)
    with pytest.raises(StorageUnavailable, match=r"unavailable for 0\.2 s: the disk is full\."):
        await commits.submit(rows("a"))
    await commits.close()


async def test_one_bad_row_fails_only_its_own_caller() -> None:
    commits = GroupCommit(Flaky(bad="bad"), retry_seconds=1)
    good, bad, fine = commits.submit(rows("good")), commits.submit(rows("bad")), commits.submit(rows("fine"))
    await good
    await fine
    with pytest.raises(StorageFailed, match="bad row"):
        await bad
    await commits.close()


async def test_what_is_refused_to_many_is_tried_call_by_call_and_each_thread_keeps_its_order() -> None:
    thread, landed, refusals = uuid.uuid4(), [], 3

    async def commit(batch: Batch) -> set[uuid.UUID]:
        nonlocal refusals
        ids = [key[2] for key in batch.checkpoints]
        if "slow" in ids and refusals:
            refusals -= 1
            raise Refused("took too long")
        landed.append(ids)
        return set(batch.fences)

    commits = GroupCommit(commit, retry_seconds=5)
    calls = [rows("first", thread), rows("slow", thread), rows("after", thread), rows("other")]
    await asyncio.gather(*(commits.submit(call) for call in calls))
    assert landed == [["first"], ["other"], ["slow"], ["after"]]
    await commits.close()


async def test_a_bad_row_behind_one_that_waits_still_fails_alone() -> None:
    refusals = 2

    async def commit(batch: Batch) -> set[uuid.UUID]:
        nonlocal refusals
        ids = [key[2] for key in batch.checkpoints]
        if "bad" in ids:
            raise ValueError("bad row")
        if "slow" in ids and refusals:
            refusals -= 1
            raise Refused("took too long")
        return set(batch.fences)

    commits = GroupCommit(commit, retry_seconds=5)
    slow, bad, fine = (commits.submit(rows(name)) for name in ("slow", "bad", "fine"))
    with pytest.raises(StorageFailed, match="bad row"):
        await bad
    await fine
    assert not slow.done()
    await slow
    await commits.close()


async def test_calls_that_wait_for_their_own_fault_hold_nobody_else_up_and_keep_their_thread_s_order() -> (
    None
):
    thread, landed, freed = uuid.uuid4(), [], False

    async def commit(batch: Batch) -> set[uuid.UUID]:
        ids = [key[2] for key in batch.checkpoints]
        if "stuck" in ids and not freed:
            raise Refused("locked")
        landed.extend(ids)
        return set(batch.fences)

    commits = GroupCommit(commit, retry_seconds=5)
    stuck = commits.submit(rows("stuck", thread))
    await asyncio.sleep(0)
    await commits.submit(rows("other"))
    behind = commits.submit(rows("behind", thread))
    for number in range(3):
        await commits.submit(rows(f"later {number}"))
    assert not stuck.done() and not behind.done()
    freed = True
    await asyncio.gather(stuck, behind)
    assert landed == ["other", "later 0", "later 1", "later 2", "stuck", "behind"]
    await commits.close()


async def test_closing_fails_calls_that_wait_for_their_own_fault() -> None:
    async def commit(batch: Batch) -> set[uuid.UUID]:
        if any(key[2] == "stuck" for key in batch.checkpoints):
            raise Refused("locked")
        return set(batch.fences)

    thread = uuid.uuid4()
    commits = GroupCommit(commit, retry_seconds=60)
    stuck, other = commits.submit(rows("stuck", thread)), commits.submit(rows("other"))
    await other
    behind = commits.submit(rows("behind", thread))
    await commits.close()
    for each in (stuck, behind):
        with pytest.raises(Sealed):
            await each


async def test_closing_fails_what_still_waits() -> None:
    commits = GroupCommit(Flaky(*[Unavailable("gone")] * 50), retry_seconds=60)
    future = commits.submit(rows("a"))
    await asyncio.sleep(0)
    later = commits.submit(rows("b"))
    await commits.close()
    for each in (future, later, commits.submit(rows("c"))):
        with pytest.raises(Sealed):
            await each


async def test_two_epochs_of_a_thread_never_share_a_transaction() -> None:
    thread, seen = uuid.uuid4(), []

    async def commit(batch: Batch) -> set[uuid.UUID]:
        seen.append(batch.fences[thread])
        return set(batch.fences)

    commits = GroupCommit(commit, retry_seconds=1)
    first, second = commits.submit(rows("a", thread, 1)), commits.submit(rows("b", thread, 2))
    await asyncio.gather(first, second)
    assert seen == [1, 2]
    await commits.close()


async def test_what_shares_a_transaction_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threads.checkpoints.commits.BATCH_BYTES", 100)
    thread, landed = uuid.uuid4(), []

    async def commit(batch: Batch) -> set[uuid.UUID]:
        landed.append([key[2] for key in batch.checkpoints])
        return set(batch.fences)

    commits = GroupCommit(commit, retry_seconds=1)
    calls = [rows("first", thread), rows("second"), rows("huge"), rows("after", thread), rows("small")]
    for call, size in zip(calls, (60, 50, 500, 30, 10), strict=True):
        call.size = size
    await asyncio.gather(*(commits.submit(call) for call in calls))
    assert landed == [["first", "after", "small"], ["second"], ["huge"]], (
        "a large call does not reorder a thread's calls"
    )
    await commits.close()


def test_merging_gives_each_key_once_as_if_written_in_order() -> None:
    thread = uuid.uuid4()

    def write(value: bytes, *indexes: int) -> Rows:
        made = Rows(thread_id=thread, epoch=1)
        for index in indexes:
            made.writes["", "c", "t", index] = ("", "channel", "kind", value)
        return made

    result, answers = (thread, "", "c", "t", 0), (thread, "", "c", "t", -4)
    merged = merge([write(b"1", 0, -4), write(b"2", 0, -4)])
    assert merged.added[result][-1] == b"1"
    assert merged.replaced[answers][-1] == b"2"
    assert (len(merged.added), len(merged.replaced)) == (1, 1)


async def test_a_task_that_ends_leaves_all_its_answers(storage: CheckpointStorage) -> None:
    """It writes them beside its results; the first one was stored when it asked again."""
    thread = await in_database(make_thread)
    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2, run_id=uuid.uuid4())
    found = await put(writer, thread, 1)
    place: Any = {"configurable": {"thread_id": str(thread.id), "checkpoint_ns": "", "checkpoint_id": found}}
    await writer.aput_writes(place, [("__resume__", ["one"])], "task")
    await writer.aput_writes(place, [("__resume__", ["one", "two"]), ("text", "done")], "task")
    saved = await writer.aget_tuple(place)
    assert saved is not None
    assert sorted(saved.pending_writes or ()) == [
        ("task", "__resume__", ["one", "two"]),
        ("task", "text", "done"),
    ]


async def test_what_a_run_overwrites_is_read_before_its_own_checkpoint_becomes_the_newest(
    storage: CheckpointStorage,
) -> None:
    thread = await in_database(make_thread)
    earlier = ThreadWriter(storage, thread_id=thread.id, epoch=2, run_id=uuid.uuid4())
    found = await put(earlier, thread, 1)
    place: Any = {"configurable": {"thread_id": str(thread.id), "checkpoint_ns": "", "checkpoint_id": found}}
    await earlier.aput_writes(place, [("text", "kept")], "task")
    reading, read = asyncio.Event(), asyncio.Event()
    snapshots: list[Any] = []

    async def keep_base() -> None:
        reading.set()
        await read.wait()
        snapshots.append(await storage.snapshot_writes(thread.id))

    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2, run_id=uuid.uuid4(), on_base=keep_base)
    await writer.aget_tuple(config(thread))
    writing = asyncio.create_task(writer.aput_writes(place, [("text", "late")], "other task"))
    await reading.wait()
    putting = asyncio.create_task(put(writer, thread, 2, found))
    done, _ = await asyncio.wait({putting}, timeout=0.3)
    assert not done
    read.set()
    await asyncio.gather(writing, putting)
    assert [row[1:3] for row in snapshots[0]] == [[found, "task"]]


async def test_a_write_that_waits_for_the_base_is_in_flight_and_lands(storage: CheckpointStorage) -> None:
    """LangGraph leaves such a write behind in a subgraph that it cancels twice."""
    thread = await in_database(make_thread)
    earlier = ThreadWriter(storage, thread_id=thread.id, epoch=2, run_id=uuid.uuid4())
    found = await put(earlier, thread, 1)
    place: Any = {"configurable": {"thread_id": str(thread.id), "checkpoint_ns": "", "checkpoint_id": found}}
    reading, read = asyncio.Event(), asyncio.Event()

    async def keep_base() -> None:
        reading.set()
        await read.wait()

    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2, run_id=uuid.uuid4(), on_base=keep_base)
    await writer.aget_tuple(config(thread))
    writing = asyncio.create_task(writer.aput_writes(place, [("text", "late")], "task"))
    await reading.wait()
    assert writer.busy
    quiet = asyncio.create_task(writer.quiesce())
    done, _ = await asyncio.wait({quiet}, timeout=0.1)
    assert not done
    read.set()
    await quiet
    assert writing.done()
    assert [row[1:3] for row in await storage.snapshot_writes(thread.id)] == [[found, "task"]]


async def test_checkpoint_ids_go_on_after_one_that_was_made_under_a_clock_that_was_ahead(
    storage: CheckpointStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assumption about LangGraph: ids begin with the wall clock, the greatest is the state."""
    thread = await in_database(make_thread)
    now = time.time_ns()
    monkeypatch.setattr(ids, "_last_v6_timestamp", None)
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time_ns", lambda: now + 600 * 10**9)
        checkpoint = empty_checkpoint()
    monkeypatch.setattr(ids, "_last_v6_timestamp", None)
    assert empty_checkpoint()["id"] < checkpoint["id"], "this process's clock is behind"
    writer = ThreadWriter(storage, thread_id=thread.id, epoch=2)
    place = config(thread)
    await writer.aput(place, checkpoint, {"step": 1}, {})
    await writer.aget_tuple(place)
    assert empty_checkpoint()["id"] > checkpoint["id"]
