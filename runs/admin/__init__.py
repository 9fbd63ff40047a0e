"""The admin's pages of everything that this application stores."""

from runs.admin import crons, identity, runs, webhooks

__all__ = ["crons", "identity", "runs", "webhooks"]
