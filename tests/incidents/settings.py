"""Settings for the incidents' servers: faults that appear soon, and a disk that can be full."""

from __future__ import annotations

from tests.processes.settings import *  # noqa: F403
from tests.processes.settings import INSTALLED_APPS, RUNS
from tests.support.receiver import ALLOWED

INSTALLED_APPS = [*INSTALLED_APPS, "tests.incidents.full_disk.FullDisk"]
RUNS = {
    **RUNS,
    **ALLOWED,
    # A run is called silent after a tenth of it.
    "IDLE_TIMEOUT": 100.0,
    "DRAIN_SECONDS": 2.0,
    "WEBHOOK_ATTEMPTS": 1,
}
