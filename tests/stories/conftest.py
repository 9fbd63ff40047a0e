"""The environment of all stories, which are run by several workers."""

from __future__ import annotations

import fcntl

import pytest

from tests.stories.environment import Environment

#: What users' agents need.
PACKAGES = ("langchain", "deepagents", "langgraph-supervisor", "langgraph-swarm", "fastapi", "pytest")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Environment:
    """Made by the first worker that needs it; the others wait."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "installed"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Environment(folder, *PACKAGES)
