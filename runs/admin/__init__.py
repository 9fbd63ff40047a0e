"""The admin's pages for the models of this application."""

from runs.admin import assistants, crons, dashboard, identity, inbox, queues, runs, threads, webhooks, workers

__all__ = [
    "assistants",
    "crons",
    "dashboard",
    "identity",
    "inbox",
    "queues",
    "runs",
    "threads",
    "webhooks",
    "workers",
]
