"""Settings for servers under test: short intervals, `RUN_SETTINGS`, failpoints, skew."""

from __future__ import annotations

import json
import os

from deerflow_site.settings import *  # noqa: F403
from deerflow_site.settings import INSTALLED_APPS, RUNS
from tests.processes import skew

if os.environ.get("CLOCK_FILE"):
    skew.install()

INSTALLED_APPS = [*INSTALLED_APPS, "tests.processes.failpoint.Failpoint"]
RUNS = {
    **RUNS,
    "LEASE": 6.0,
    "HEARTBEAT": 1.0,
    "SWEEP": 0.5,
    "POLL": 0.2,
    "STREAM_HEARTBEAT": 0.2,
    "IDENTITY_CHECK": 1.0,
    # Several busy servers share a small machine here.
    "LOOP_ALARM": 10.0,
    **json.loads(os.environ.get("RUN_SETTINGS") or "{}"),
}
