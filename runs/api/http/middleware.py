"""The middleware of the API's handler. This module and its imports need no models."""

from __future__ import annotations

from runs.api.http.metering import metered
from runs.api.http.methods import methodical
from runs.api.http.searches import limited

#: The first is outermost.
MIDDLEWARE = (metered, methodical, limited)
