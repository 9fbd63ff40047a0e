"""Callback handlers that the site names in its settings."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler

from runs.checks.configuration import check_callbacks
from runs.execution.tracing import callbacks
from runs.models import Run
from tests.support.driving import Driver

HERE = __name__
seen: list[tuple[str, str]] = []


class Recorder(BaseCallbackHandler):
    """Records the chains that begin, under a name."""

    def __init__(self, name: str = "class") -> None:
        self.name = name

    def on_chain_start(self, serialized: Any, inputs: Any, *, metadata: Any = None, **kwargs: Any) -> None:
        seen.append((self.name, str((metadata or {}).get("run_id"))))


class Later(AsyncCallbackHandler):
    async def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        seen.append(("async", ""))


shared = Recorder("shared")


def by_run(run: Run) -> list[BaseCallbackHandler]:
    return [Recorder(f"of {run.id}")]


def nothing(run: Run) -> None:
    return None


def failing(run: Run) -> BaseCallbackHandler:
    raise ValueError("no")


def wrong(run: Run) -> Any:
    return "a text"


@pytest.fixture(autouse=True)
def unseen() -> None:
    seen.clear()


@pytest.mark.parametrize("separator", [".", ":"])
async def test_handlers_classes_and_functions(driver: Driver, run_settings: Any, separator: str) -> None:
    names = ("shared", "Recorder", "by_run", "nothing", "Later")
    run_settings(CALLBACKS=tuple(f"{HERE}{separator}{name}" for name in names))
    run = await driver.finish(await driver.start("parallel"))
    assert run.status == "success"
    assert {name for name, _ in seen} == {"shared", "class", f"of {run.id}", "async"}
    assert {run_id for name, run_id in seen if name == "shared"} == {str(run.id)}


async def test_what_cannot_be_made_does_not_fail_the_run(
    driver: Driver, run_settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run_settings(CALLBACKS=("nowhere.at_all", f"{HERE}.failing", f"{HERE}.wrong", f"{HERE}.shared"))
    assert (await driver.finish(await driver.start("steps"))).status == "success"
    assert seen
    for words in ("nowhere.at_all", "failing", "wrong"):
        assert words in caplog.text


@pytest.mark.parametrize("path", ["nowhere.handler", f"{HERE}.missing", f"{HERE}.HERE", "no_dots"])
def test_a_name_that_is_no_handler_is_an_error(run_settings: Any, path: str) -> None:
    run_settings(CALLBACKS=(path,))
    (problem,) = check_callbacks(None)
    assert problem.id == "runs.E024"
    assert path in problem.msg


def test_names_of_handlers_pass(run_settings: Any) -> None:
    run_settings(CALLBACKS=(f"{HERE}.shared", f"{HERE}:by_run", f"{HERE}.Recorder"))
    assert not check_callbacks(None)
    callbacks.prepare()
