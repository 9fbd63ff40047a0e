"""The store in runs, and its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from runs import graphs
from runs.checks import configuration
from runs.graphs import store_settings, stores
from runs.models import Run
from tests.runs.graphs.conftest import write
from tests.runs.graphs.samples import GRAPH, Write, with_json
from tests.support.driving import Driver
from threads.checkpoints import Fenced
from threads.db.database import in_database
from threads.models import StoreItem, Thread

__all__ = ["write"]

EMBED = """
    def embed(texts):
        return [[float(len(text)), 1.0] for text in texts]
"""


@pytest.fixture(name="memories")
def _memories(run_settings: Any) -> Iterator[None]:
    run_settings(GRAPHS={name: f"tests.support.memories:{name}" for name in ("remembering", "made")})
    yield
    graphs.reset()


async def keys_of(user_id: int) -> list[str]:
    items = StoreItem.objects.filter(user=user_id).order_by("key")
    return await in_database(lambda: list(items.values_list("key", flat=True)))


async def test_a_graph_has_its_users_store_however_it_asks_for_it(memories: None, driver: Driver) -> None:
    run = await driver.finish(await driver.start("remembering", {"word": "x"}))
    assert (run.status, run.thread.values["seen"]) == ("success", ["context", "injected", "runtime"])
    assert await keys_of(driver.principal.user_id) == ["context", "injected", "runtime"]


async def test_what_a_run_keeps_the_same_user_s_next_run_finds_and_nobody_else_s(
    memories: None, driver: Driver
) -> None:
    other = await Driver.create(driver.runtime, driver.trace_file)
    await driver.finish(await driver.start("remembering", {"word": "x"}))
    run = await other.finish(await other.start("remembering", {"word": "x"}))
    assert run.thread.values["seen"] == ["context", "injected", "runtime"]
    again = await driver.finish(await driver.start("remembering", {"word": "y"}))
    assert again.thread.values["seen"] == ["context", "injected", "runtime"]
    words = await in_database(
        lambda: [(i.user_id, i.value["word"]) for i in StoreItem.objects.order_by("user")]
    )
    assert words == [(driver.principal.user_id, "y")] * 3 + [(other.principal.user_id, "x")] * 3


async def test_a_factory_is_given_the_store(memories: None, driver: Driver) -> None:
    run = await driver.finish(await driver.start("made", {"word": "x"}))
    assert (run.status, await keys_of(driver.principal.user_id)) == ("success", ["factory"])


async def test_the_store_of_a_run_is_fenced_by_its_epoch(memories: None, driver: Driver) -> None:
    run: Run = await driver.finish(await driver.start("made", {"word": "x"}))
    store = stores.store_of_run(run)
    await store.aput(("a",), "k", {})
    await in_database(Thread.objects.filter(id=run.thread_id).update, epoch=run.epoch + 1)
    with pytest.raises(Fenced):
        await store.aput(("a",), "late", {})
    assert await keys_of(driver.principal.user_id) == ["factory", "k"]


# --- the configuration


async def test_a_langgraph_json_configures_the_store(write: Write) -> None:
    write("app/mine.py", GRAPH)
    write("app/texts/embed.py", EMBED)
    content = {
        "graphs": {"a": "./mine.py:graph"},
        "store": {
            "index": {"embed": "./texts/embed.py:embed", "dims": 2, "fields": ["text"]},
            "ttl": {"default_ttl": 60, "refresh_on_read": False, "sweep_interval_minutes": 5},
        },
    }
    with with_json(write, content, name="app/langgraph.json"):
        config = store_settings.configuration()
        assert graphs.problems() == []
        assert configuration.check_store(None) == []
        assert (config.default_ttl, config.refresh_on_read) == (60.0, False)
        assert config.index is not None
        assert (config.index.dims, config.index.fields) == (2, ("text",))
        assert await config.index.query("four") == pytest.approx((4 / 17**0.5, 1 / 17**0.5))


def test_the_setting_goes_before_the_langgraph_json(write: Write) -> None:
    write("mine.py", GRAPH)
    path = write("langgraph.json", '{"graphs": {"a": "mine:graph"}, "store": {"ttl": {"default_ttl": 60}}}')
    with override_settings(RUNS={"LANGGRAPH_JSON": str(path), "STORE": {"ttl": {"default_ttl": 5}}}):
        assert store_settings.configuration().default_ttl == 5.0
    with override_settings(RUNS={"LANGGRAPH_JSON": str(path)}):
        assert store_settings.configuration().default_ttl == 60.0
    with override_settings(RUNS={}):
        assert store_settings.configuration().default_ttl is None


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ({"color": {}}, "'color'"),
        ({"ttl": 5}, "'ttl'"),
        ({"ttl": {"minutes": 5}}, "'ttl.minutes'"),
        ({"ttl": {"default_ttl": 0}}, "a positive number"),
        ({"ttl": {"default_ttl": True}}, "a positive number"),
        ({"index": {"embed": "no.such.module:embed", "dims": 2}}, "cannot be loaded: ModuleNotFoundError"),
        ({"index": {"embed": "nobody:model", "dims": 2}}, "embedding 'nobody:model' cannot be loaded"),
        ({"index": {"dims": 2}}, "embed must be provided"),
        ({"index": {"embed": "a.b:c", "dims": 0}}, "dims 0"),
        ({"index": {"embed": "a.b:c", "dims": 2, "fields": "text"}}, "list of paths"),
    ],
)
def test_a_mistake_in_the_configuration_is_explained(store: Any, reason: str) -> None:
    with override_settings(RUNS={"STORE": store}):
        with pytest.raises(ImproperlyConfigured, match=reason):
            store_settings.configuration()
        (problem,) = configuration.check_store(None)
        assert (problem.id, reason in problem.msg) == ("runs.E020", True)
