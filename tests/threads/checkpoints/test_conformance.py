"""LangGraph's own conformance suite for checkpointers, run against ThreadWriter on this site's database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import BASE_CAPABILITIES, Capability, DetectedCapabilities
from langgraph.checkpoint.conformance.spec.test_delete_for_runs import ALL_DELETE_FOR_RUNS_TESTS
from langgraph.checkpoint.conformance.spec.test_delete_thread import ALL_DELETE_THREAD_TESTS
from langgraph.checkpoint.conformance.spec.test_get_tuple import ALL_GET_TUPLE_TESTS
from langgraph.checkpoint.conformance.spec.test_list import ALL_LIST_TESTS
from langgraph.checkpoint.conformance.spec.test_prune import ALL_PRUNE_TESTS
from langgraph.checkpoint.conformance.spec.test_put import ALL_PUT_TESTS
from langgraph.checkpoint.conformance.spec.test_put_writes import ALL_PUT_WRITES_TESTS
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph

from runs.conf import settings
from threads.checkpoints import CheckpointStorage, ThreadWriter, open_checkpoints
from threads.db.database import in_database, threads
from threads.models import Thread

Test = Callable[[BaseCheckpointSaver[str]], Awaitable[None]]

SUITE: dict[Capability, Sequence[Test]] = {
    Capability.PUT: ALL_PUT_TESTS,
    Capability.PUT_WRITES: ALL_PUT_WRITES_TESTS,
    Capability.GET_TUPLE: ALL_GET_TUPLE_TESTS,
    Capability.LIST: ALL_LIST_TESTS,
    Capability.DELETE_THREAD: ALL_DELETE_THREAD_TESTS,
    Capability.DELETE_FOR_RUNS: ALL_DELETE_FOR_RUNS_TESTS,
    Capability.PRUNE: ALL_PRUNE_TESTS,
}
#: The suite's capabilities without meaning here: a copy would write to a thread of another epoch.
MEANINGLESS = {Capability.COPY_THREAD}
#: The epoch of every thread here. Not the first, because a thread's first writer reads only its own writes.
EPOCH = 2


class AnyThread(BaseCheckpointSaver[str]):
    """The suite's saver of all threads: a writer for each thread, created at first use.

    Deletions go to the storage.
    """

    def __init__(self, storage: CheckpointStorage) -> None:
        super().__init__(serde=storage.serde)
        self._storage = storage
        self._writers: dict[str, ThreadWriter] = {}

    async def _writer(self, config: RunnableConfig | None) -> ThreadWriter:
        thread_id = config["configurable"]["thread_id"]
        if thread_id not in self._writers:
            await in_database(make_thread, UUID(thread_id))
            self._writers[thread_id] = ThreadWriter(self._storage, thread_id=UUID(thread_id), epoch=EPOCH)
        return self._writers[thread_id]

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await (await self._writer(config)).aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await (await self._writer(config)).aput_writes(config, writes, task_id, task_path)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await (await self._writer(config)).aget_tuple(config)

    async def alist(self, config: RunnableConfig | None, **options: Any) -> AsyncIterator[CheckpointTuple]:
        async for found in (await self._writer(config)).alist(config, **options):
            yield found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return await (await self._writer(config)).aget_delta_channel_history(config=config, channels=channels)

    async def adelete_thread(self, thread_id: str) -> None:
        await in_database(self._storage.pruning().delete, [UUID(thread_id)], limit=10_000)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        for thread_id in self._writers:
            for run_id in run_ids:
                await self._storage.remove_run(UUID(thread_id), UUID(run_id), epoch=EPOCH, writes=None)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await in_database(prune, self._storage, [UUID(each) for each in thread_ids], strategy)


@transaction.atomic
def prune(storage: CheckpointStorage, thread_ids: Sequence[UUID], strategy: str) -> None:
    pruning = storage.pruning()
    if strategy == "delete":
        while pruning.delete(thread_ids, limit=100):
            pass
        return
    for thread_id in thread_ids:
        while pruning.keep_latest(thread_id, limit=100):
            pass


def make_thread(thread_id: UUID) -> None:
    now = timezone.now()
    user, _ = get_user_model().objects.get_or_create(username="suite")
    Thread.objects.create(
        id=thread_id, user=user, epoch=EPOCH, created_at=now, updated_at=now, state_updated_at=now
    )


@pytest.fixture
async def saver(transactional_db: None, run_settings: Any) -> AsyncIterator[AnyThread]:
    serde = JsonPlusSerializer(allowed_msgpack_modules=())
    async with open_checkpoints(file=settings.CHECKPOINTS_FILE, serde=serde, retry_seconds=5) as storage:
        yield AnyThread(storage)
    threads.close()


def detected(saver: type[BaseCheckpointSaver[str]]) -> set[Capability]:
    """The capabilities of a saver that the suite detects."""
    return set(DetectedCapabilities.from_instance(object.__new__(saver)).detected)


def cases() -> list[Any]:
    return [pytest.param(test, id=test.__name__) for tests in SUITE.values() for test in tests]


@pytest.mark.parametrize("test", cases())
async def test_conforms(saver: AnyThread, test: Test) -> None:
    await test(saver)


def test_the_suite_is_run_whole() -> None:
    """Fails if a later version of the suite has more capabilities."""
    assert set(Capability) == set(SUITE) | MEANINGLESS
    assert set(SUITE) >= BASE_CAPABILITIES
    assert detected(AnyThread) == set(SUITE)


async def test_the_suite_itself_reports_full_conformance(saver: AnyThread) -> None:
    """The suite's own report, in addition to each of its tests above."""

    @checkpointer_test(name="ThreadWriter", skip_capabilities={each.value for each in MEANINGLESS})
    async def factory() -> AsyncIterator[AnyThread]:
        yield saver

    report = await validate(factory)
    failures = [failure for result in report.results.values() for failure in result.failures]
    assert failures == []
    assert report.passed_all_base()
    tested = {name: result.tests_passed for name, result in report.results.items() if result.detected}
    assert tested == {capability.value: len(tests) for capability, tests in SUITE.items()}


def gather(notes: list[str], added: Sequence[list[str]]) -> list[str]:
    return notes + [note for each in added for note in each]


class Notes(TypedDict, total=False):
    often: Annotated[list[str], DeltaChannel(gather, snapshot_frequency=3)]
    never: Annotated[list[str], DeltaChannel(gather)]


async def history(saver: BaseCheckpointSaver[str], thread_id: str) -> list[Any]:
    """The values at each checkpoint of a graph of two runs with delta channels, newest first."""
    builder = StateGraph(Notes)
    names = [f"n{number}" for number in range(5)]
    for name in names:
        builder.add_node(name, lambda state, name=name: {"often": [name], "never": [name]})
    for left, right in pairwise([START, *names]):
        builder.add_edge(left, right)
    graph = builder.compile(checkpointer=saver)
    for run in ("one", "two"):
        config: Any = {"configurable": {"thread_id": thread_id, "run_id": run}}
        await graph.ainvoke({"often": [run], "never": [run]}, config, durability="sync")
    return [state.values async for state in graph.aget_state_history(config)]


async def test_delta_channels_are_rebuilt_as_by_a_stock_saver(saver: AnyThread) -> None:
    """The suite does not test them yet."""
    thread_id = str(uuid4())
    kept = await history(saver, thread_id)
    assert kept == await history(InMemorySaver(), thread_id)
    assert kept[0]["never"] == [
        name for run in ("one", "two") for name in (run, *(f"n{n}" for n in range(5)))
    ]
