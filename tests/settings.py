"""The site's settings, on a temporary database.

The SQLite one is a file, because threads cannot share one in memory.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

DATA = Path(tempfile.mkdtemp(prefix="runs-tests-"))
os.environ["DATA_DIR"] = str(DATA)
os.environ.pop("SECRET_KEY", None)

from deerflow_site.settings import *  # noqa: E402, F403
from deerflow_site.settings import DATABASES, RUNS  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": str(DATA / "test.sqlite3")}

#: Tests log in often and need no slow hash.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

RUNS = {
    **RUNS,
    "GRAPHS": {"agent": "deerflow_site.graphs.agent:graph", **{name: f"tests.support.graphs:{name}" for name in (
        "steps", "parallel", "questions", "failing", "stubborn", "talking", "thrice", "nested", "sleeping", "asking", "siblings"
    )}},
    "LEASE": 6.0,
    "HEARTBEAT": 1.0,
    "SWEEP": 0.5,
    "POLL": 0.2,
}  # fmt: skip
