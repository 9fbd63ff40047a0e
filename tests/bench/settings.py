"""The site's settings for measured servers, overridden by `RUN_SETTINGS` (JSON)."""

from __future__ import annotations

import json
import os

from deerflow_site.settings import *  # noqa: F403
from deerflow_site.settings import RUNS

RUNS = {**RUNS, **json.loads(os.environ.get("RUN_SETTINGS") or "{}")}
