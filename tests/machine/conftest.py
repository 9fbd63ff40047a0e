"""The site of the state machine (`tests.machine`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.machine.site import Site


@pytest.fixture
def site(
    transactional_db: None, run_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    from runs.process import dead_workers, leases
    from tests.machine.base import MAX_ATTEMPTS
    from tests.machine.site import Site
    from threads.db.database import threads

    # The machine has no second clock: leases expire only by a rule, and a free lock stays free.
    run_settings(GRAPHS={"life": "tests.machine.graph:life"}, MAX_ATTEMPTS=MAX_ATTEMPTS, LEASE=3600.0)
    monkeypatch.setattr(dead_workers, "CONFIRM", 0.0)
    monkeypatch.setattr(leases, "SETTLED", 0.0)
    opened = Site(str(tmp_path / "checkpoints.sqlite3"))
    yield opened
    opened.close()
    threads.close()
