"""The admin's pages for the models of this application."""

from runs.admin import crons, identity, runs, webhooks

__all__ = ["crons", "identity", "runs", "webhooks"]
