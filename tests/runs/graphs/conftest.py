from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from django.test import override_settings

from runs import graphs
from tests.runs.graphs.samples import Write


@pytest.fixture(autouse=True)
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a file that can be imported during the test; its module is unloaded afterwards."""
    loaded, path = set(sys.modules), list(sys.path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, content: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(content))
        importlib.invalidate_caches()
        return file

    with override_settings(RUNS={}):
        yield write
    for name in set(sys.modules) - loaded:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = path
    graphs.reset()
