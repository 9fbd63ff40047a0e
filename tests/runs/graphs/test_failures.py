"""The errors of graphs that cannot be loaded or built."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runs import graphs
from tests.runs.graphs.samples import GRAPH, Write, label_of, opened, with_graphs, with_json


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("mine", "ValueError: 'mine' is not of the form 'package.module:object'"),
        ("no_such_module:graph", "ModuleNotFoundError: No module named 'no_such_module'."),
        ("mine:grph", "AttributeError: module 'mine' has no 'grph'; its graphs are empty, graph."),
        ("./mine.py:graph", "ValueError: './mine.py:graph' is a file, which only a langgraph.json can name"),
        ("mine:number", "TypeError: expected a compiled graph, a StateGraph or a factory of one, not int."),
        ("mine:hungry", "TypeError: a graph factory takes (), (config) or (config, runtime), not (a, b, c)."),
        ("mine:empty", "ValueError: Graph must have an entrypoint"),
    ],
)
async def test_a_graph_that_cannot_be_loaded_says_why(write: Write, path: str, reason: str) -> None:
    write(
        "mine.py", GRAPH + "\n    number = 7\n    def hungry(a, b, c): ...\n    empty = StateGraph(State)\n"
    )
    with with_graphs(a=path):
        with pytest.raises(graphs.GraphLoadError) as caught:
            await opened("a")
        assert str(caught.value).startswith(f"Graph 'a' (RUNS['GRAPHS']) cannot be loaded: {reason}")
        assert [str(error) for error in graphs.load_all().values()] == [str(caught.value)]
        (error,) = graphs.problems()
        assert (error.id, error.msg) == ("runs.E001", str(caught.value))
        assert error.hint == "Correct it or its entry in RUNS['GRAPHS']."


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' ({file}:2)"),
        ("import json\njson.loads('{')", "JSONDecodeError: Expecting property name"),
        ("raise SystemExit('no key')", "SystemExit: no key ({file}:2)"),
        ("1 +", "SyntaxError: invalid syntax ({file}:2)"),
    ],
)
def test_an_import_that_fails_names_the_line_of_user_code(write: Write, statement: str, reason: str) -> None:
    file = write("deep.py", f"# A comment.\n{statement}\n")
    write("mine.py", "import deep")
    with with_graphs(a="mine:graph"):
        message = str(graphs.load_all()["a"])
        assert reason.format(file=file) in message
        assert f"({file}:" in message


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("./none.py:graph", "FileNotFoundError: there is no file"),
        ("./agent.ts:graph", "is not a Python file"),
        ("./broken file.py:graph", "ZeroDivisionError: division by zero ({folder}/broken file.py:1)"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(write: Write, tmp_path: Path, path: str, reason: str) -> None:
    write("agent.ts", "")
    write("broken file.py", "1 / 0")
    with with_json(write, {"graphs": {"a": path}}):
        assert reason.format(folder=tmp_path) in str(graphs.load_all()["a"])


def test_a_failing_import_is_not_tried_again_until_the_registry_is_reset(
    write: Write, tmp_path: Path
) -> None:
    counter = tmp_path / "imports"
    write("mine.py", f"with open({str(counter)!r}, 'a') as file:\n    file.write('x')\n1 / 0")
    with with_graphs(a="mine:graph"):
        for _ in range(3):
            assert list(graphs.load_all()) == ["a"]
        assert counter.read_text() == "x"
        write("mine.py", GRAPH)
        graphs.reset()
        assert graphs.load_all() == {}


def test_one_failure_does_not_keep_the_other_graphs_from_loading(write: Write) -> None:
    write("mine.py", GRAPH)
    with with_graphs(a="mine:none", b="mine:graph"):
        assert list(graphs.load_all()) == ["a"]
        assert asyncio.run(label_of("b")) == "plain"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return 7", "TypeError: expected a compiled graph or a StateGraph, not int."),
        ("raise KeyError('token')", "KeyError: 'token' ({file}:"),
        ("raise SystemExit(3)", "SystemExit: 3 ({file}:"),
    ],
)
async def test_a_factory_that_fails_says_why(write: Write, body: str, reason: str) -> None:
    file = write("mine.py", GRAPH + f"\n    async def make():\n        {body}\n")
    with with_graphs(a="mine:make"):
        with pytest.raises(graphs.GraphLoadError) as caught:
            await opened("a")
        expected = f"Graph 'a' (RUNS['GRAPHS']) cannot be built: {reason}"
        assert str(caught.value).startswith(expected.format(file=file))


def test_loading_all_logs_what_no_failure_says(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    write("mine.py", GRAPH)
    with with_json(write, {"graphs": {"a": "mine:graph"}, "env": ".env"}):
        assert graphs.load_all() == {}
    assert "ignored: env. (runs.W002)" in caplog.text
