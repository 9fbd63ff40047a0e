"""A site with one database thread, so that waiting shows; without the limits that count, and with an embedding.

With `WORST_AUTH` it has an Auth file, whose handlers see each body.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.processes.settings import *  # noqa: F403
from tests.processes.settings import RUNS
from threads.db import database

database.THREADS = {"sqlite": 1, "postgresql": 1}
RUNS = {**RUNS, "USER_RUNS_PER_MINUTE": 0, "USER_QUEUE": 0, "USER_CRONS": 0, "USER_THREADS": 0}
RUNS["STORE"] = {"index": {"embed": "tests.worst.embedding:embed", "dims": 2}}
if os.environ.get("WORST_AUTH"):
    RUNS["LANGGRAPH_JSON"] = str(Path(__file__).with_name("langgraph.json"))
