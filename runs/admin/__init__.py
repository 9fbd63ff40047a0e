"""The admin's pages for the models of this application."""

from runs.admin import (
    assistants,
    bulk_actions,
    crons,
    identity,
    inbox,
    queues,
    runs,
    threads,
    webhooks,
    workers,
)
from runs.admin.overview import dashboard, site_actions

__all__ = [
    "assistants",
    "bulk_actions",
    "crons",
    "dashboard",
    "identity",
    "inbox",
    "queues",
    "runs",
    "site_actions",
    "threads",
    "webhooks",
    "workers",
]
