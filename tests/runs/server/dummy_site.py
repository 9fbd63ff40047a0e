"""The dummy site's views for this project's own commands, with the lifespan of the process."""

from __future__ import annotations

from runs.server.application import Site, reject
from runs.server.handler import LeanHandler
from runs.server.lifespan import lifespan

views = LeanHandler()
application = Site(lifespan, api=views, site=views, websocket=reject, is_of_api=lambda scope: True)
