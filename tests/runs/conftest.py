"""The site of the state machine (`tests.runs.machine`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.runs.machine.site import Site


@pytest.fixture
def site(
    transactional_db: None, run_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    from runs import deaths, leases
    from tests.runs.machine.base import MAX_ATTEMPTS
    from tests.runs.machine.site import Site
    from threads.database import threads

    # The machine has no second clock: leases run out when a rule says so, and a lock that is free stays free.
    run_settings(GRAPHS={"life": "tests.runs.machine.graph:life"}, MAX_ATTEMPTS=MAX_ATTEMPTS, LEASE=3600.0)
    monkeypatch.setattr(deaths, "CONFIRM", 0.0)
    monkeypatch.setattr(leases, "SETTLED", 0.0)
    opened = Site(str(tmp_path / "checkpoints.sqlite3"))
    yield opened
    opened.close()
    threads.close()
