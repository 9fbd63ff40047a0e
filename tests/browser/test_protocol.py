"""The pure JavaScript modules of the pages, in Node.js without a browser or a server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.control import NODE_OPTIONS, failures
from tests.support.requirements import require


@pytest.mark.parametrize("script", ["protocol", "outbox", "session", "connection"])
def test_protocol(script: str) -> None:
    require(None if shutil.which("node") else "Node.js is not installed")
    command = ["node", *NODE_OPTIONS, f"{script}.mjs"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, failures(done.stdout + done.stderr)
