from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def fast_and_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses, no crashes and the scripted model, regardless of the developer's environment."""
    monkeypatch.setenv("DEMO_DELAY", "0")
    monkeypatch.delenv("DEMO_CRASH_AT", raising=False)
    monkeypatch.delenv("AGENT_MODEL", raising=False)
