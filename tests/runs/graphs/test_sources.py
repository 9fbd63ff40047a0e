"""Where graphs come from: the setting, a langgraph.json, the apps."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.test import override_settings

from runs import graphs
from tests.runs.graphs.samples import GRAPH, Write, ids, label_of, opened, with_graphs, with_json


def test_graphs_of_the_setting_are_listed_by_name_with_what_is_said_about_them(write: Write) -> None:
    write("mine.py", GRAPH)
    with with_graphs(b="mine:graph", a={"path": "mine:graph", "description": "Answers."}):
        assert graphs.names() == ["a", "b"]
        assert graphs.registration("a") == graphs.Registration("a", "Answers.", "RUNS['GRAPHS']")
        assert graphs.registration("b").description == ""


def test_listing_the_names_imports_no_graph(write: Write) -> None:
    write("mine.py", GRAPH)
    with with_graphs(a="mine:graph"):
        graphs.names()
        assert "mine" not in sys.modules


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with with_graphs(b="mine:graph", a="mine:graph"):
        with pytest.raises(graphs.GraphNotFound) as caught:
            graphs.registration("x")
        assert str(caught.value) == "Graph 'x' not found. Expected one of: ['a', 'b']"
        assert isinstance(caught.value, LookupError)


async def test_opening_an_unknown_graph_is_not_found() -> None:
    with pytest.raises(graphs.GraphNotFound, match=r"^Graph 'x' not found\. Expected one of: \[\]$"):
        await opened("x")


async def test_a_langgraph_json_names_files_and_modules(write: Write) -> None:
    write("app/agent.py", GRAPH)
    write("app/src/deep/agent.py", GRAPH.replace('"plain"', '"deep"'))
    write("module_of_mine.py", GRAPH.replace('"plain"', '"module"'))
    content = {
        "graphs": {
            "dotted": "./agent.py:graph",
            "bare": "agent.py:graph",
            "deep": {"path": "./src/deep/agent.py:graph", "description": "Deep."},
            "module": "module_of_mine:graph",
        }
    }
    with with_json(write, content, name="app/langgraph.json"):
        assert graphs.names() == ["bare", "deep", "dotted", "module"]
        assert [await label_of(name) for name in graphs.names()] == ["plain", "deep", "plain", "module"]
        assert await opened("dotted") is await opened("bare")
        assert graphs.registration("deep") == graphs.Registration("deep", "Deep.", "langgraph.json")


async def test_a_file_of_a_langgraph_json_and_its_siblings_share_one_module(write: Write) -> None:
    write("app/agent.py", GRAPH + "\n    import helper_of_mine\n")
    write("app/helper_of_mine.py", "import agent")
    with with_json(write, {"graphs": {"agent": "./agent.py:graph"}}, name="app/langgraph.json"):
        graph = await opened("agent")
        assert sys.modules["helper_of_mine"].agent.graph is graph


async def test_a_file_named_like_an_installed_module_does_not_replace_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    write("app/colorsys.py", GRAPH.replace('"plain"', '"mine"'))
    with with_json(write, {"graphs": {"agent": "./colorsys.py:graph"}}, name="app/langgraph.json"):
        assert await label_of("agent") == "mine"
        assert hasattr(importlib.import_module("colorsys"), "rgb_to_hsv")


async def test_a_file_outside_the_folder_gets_the_same_module_name_in_every_place(write: Write) -> None:
    names = []
    for place in ("one", "two"):
        write(f"{place}/other/my agent.py", GRAPH)
        content = {"graphs": {"agent": "../other/my agent.py:State"}}
        with with_json(write, content, name=f"{place}/app/langgraph.json"):
            graphs.load_all()
            names.append([name for name in sys.modules if name.startswith("langgraph_json_my_agent")])
            for name in names[-1]:
                del sys.modules[name]
    assert names[0] == names[1] and len(names[0]) == 1


def test_what_is_ignored_of_a_langgraph_json_is_said_once(write: Write) -> None:
    write("mine.py", GRAPH)
    content = {
        "$schema": "https://example.org/schema.json",
        "dependencies": ["."],
        "env": ".env",
        "graphs": {"a": {"path": "mine:graph", "description": "A.", "color": "red"}},
        "auth": {},
    }
    with with_json(write, content):
        (warning,) = graphs.problems()
        assert warning.id == "runs.W002"
        assert warning.msg.endswith("has settings that are ignored: dependencies, env, graphs.a.color.")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "list indices"),
        ("{}", "it has no 'graphs'"),
        ('{"graphs": []}', "its 'graphs' is not an object"),
        (None, "No such file"),
    ],
)
def test_a_langgraph_json_that_cannot_be_read_is_an_error_and_no_graph(
    write: Write, tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "langgraph.json"
    if content is not None:
        path.write_text(content)
    with override_settings(RUNS={"LANGGRAPH_JSON": path}):
        (error,) = graphs.problems()
        assert (error.id, graphs.names()) == ("runs.E005", [])
        assert reason in error.msg


APP_GRAPHS = (
    GRAPH
    + """
    from runs.graphs import register

    register("ready", description="Made before.")(graph)

    @register("made")
    def make(config):
        return build(config["configurable"]["label"])
"""
)


async def test_apps_register_graphs_and_factories_in_their_graphs_module(write: Write) -> None:
    write("appone/__init__.py", "")
    write("appone/graphs.py", APP_GRAPHS)
    with override_settings(INSTALLED_APPS=["appone"]):
        for _ in range(2):  # Also after a reset, which does not import the module again.
            assert graphs.names() == ["made", "ready"]
            assert graphs.registration("ready") == graphs.Registration(
                "ready", "Made before.", "appone.graphs"
            )
            assert await label_of("made", {"configurable": {"label": "called"}}) == "called"
            assert ids() == []
            graphs.reset()


def test_an_app_whose_graphs_cannot_be_imported_hides_only_its_own(write: Write) -> None:
    for app, content in {"appone": "import no_such_module", "apptwo": APP_GRAPHS}.items():
        write(f"{app}/__init__.py", "")
        file = write(f"{app}/graphs.py", content)
    with override_settings(INSTALLED_APPS=["appone", "apptwo"]):
        assert graphs.names() == ["made", "ready"]
        (error,) = graphs.problems()
        assert error.id == "runs.E001"
        assert error.msg.startswith("appone.graphs cannot be imported: ModuleNotFoundError: No module named")
        assert f"({file.parent.parent}/appone/graphs.py:1)" in error.msg


def test_the_registry_is_not_taken_for_the_graphs_of_its_app(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name: imported.append(name) or real(name))
    graphs.reset()
    assert graphs.names() == [] and apps.is_installed("runs")
    assert "runs.graphs" not in imported


def test_a_name_that_two_sources_use_is_an_error_and_the_first_one_counts(write: Write) -> None:
    write("mine.py", GRAPH)
    path = write("langgraph.json", '{"graphs": {"a": "other:graph"}}')
    with override_settings(RUNS={"GRAPHS": {"a": "mine:graph"}, "LANGGRAPH_JSON": str(path)}):
        (error,) = graphs.problems()
        assert error.id == "runs.E002"
        assert error.msg == "Graph 'a' is registered twice, by RUNS['GRAPHS'] and by langgraph.json."
        assert graphs.registration("a").source == "RUNS['GRAPHS']"


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "a\x00", "\ud800", "x" * 256, 7])
def test_a_name_that_could_not_be_part_of_an_address_is_refused(name: Any) -> None:
    with override_settings(RUNS={"GRAPHS": {name: "mine:graph"}}):
        assert (graphs.names(), ids()) == ([], ["runs.E004"])
    with pytest.raises(ValueError, match="a graph's name"):
        graphs.register(name)(object())


@pytest.mark.parametrize("name", ["x" * 255, "my agent", "агент", "a:b.c"])
def test_any_other_name_is_allowed(write: Write, name: str) -> None:
    write("mine.py", GRAPH)
    with with_graphs(**{name: "mine:graph"}):
        assert (graphs.names(), ids()) == ([name], [])


@pytest.mark.parametrize(
    "value", [None, 7, {"description": "No path."}, {"path": "mine:graph", "description": 7}]
)
def test_a_value_that_names_no_object_is_an_error(value: Any) -> None:
    with with_graphs(a=value):
        assert (graphs.names(), ids()) == ([], ["runs.E004"])
