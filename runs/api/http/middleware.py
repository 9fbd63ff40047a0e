"""What the API's handler asks around its views. No model is needed for it, nor for what it imports."""

from __future__ import annotations

from runs.api.http.metering import metered
from runs.api.http.methods import methodical

#: The first is outermost.
MIDDLEWARE = (metered, methodical)
