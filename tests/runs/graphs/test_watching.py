"""Files of graphs that the reloader watches although they could not be imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils.autoreload import StatReloader, autoreload_started

from runs.graphs import watching


def test_a_graph_that_cannot_be_imported_is_noticed_when_it_is_saved(
    tmp_path: Path, run_settings: Any
) -> None:
    (tmp_path / "lib").mkdir()
    file, helper, project = tmp_path / "g.py", tmp_path / "lib" / "helper.py", tmp_path / "langgraph.json"
    for each in (file, helper):
        each.write_text("def broken(:\n")
    project.write_text('{"graphs": {"agent": "./g.py:graph"}}')
    run_settings(
        LANGGRAPH_JSON=str(project), GRAPHS={"steps": "tests.support.graphs:steps", "no": "nowhere:x"}
    )
    reloader = StatReloader()
    autoreload_started.send(sender=reloader)
    seen = dict(reloader.snapshot_files())
    here = Path(__file__).resolve().parents[2]
    assert {file, helper, project, here / "support" / "graphs.py"} <= seen.keys()


def test_a_graph_named_by_its_package_alone_is_in_its_folder(run_settings: Any) -> None:
    run_settings(
        LANGGRAPH_JSON="", GRAPHS={"steps": {"path": "tests.support.graphs:steps"}, "json": "json:dumps"}
    )
    support, standard = watching.folders()
    assert support.parts[-2:] == ("tests", "support")
    assert (standard / "decoder.py").exists()
