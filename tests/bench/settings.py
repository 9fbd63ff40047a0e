"""The site's settings for measured servers, with `RUN_SETTINGS` (JSON) on top."""

from __future__ import annotations

import json
import os

from deerflow_site.settings import *  # noqa: F403
from deerflow_site.settings import RUNS

RUNS = {**RUNS, **json.loads(os.environ.get("RUN_SETTINGS") or "{}")}
