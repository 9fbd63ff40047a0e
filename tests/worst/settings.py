"""A site with one database thread, for whom else it works to be seen; and without the limits that count."""

from __future__ import annotations

from tests.processes.settings import *  # noqa: F403
from tests.processes.settings import RUNS
from threads.db import database

database.THREADS = {"sqlite": 1, "postgresql": 1}
RUNS = {**RUNS, "USER_RUNS_PER_MINUTE": 0, "USER_QUEUE": 0, "USER_CRONS": 0, "USER_THREADS": 0}
