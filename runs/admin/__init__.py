"""The admin's pages for the models of this application."""

from runs.admin import crons, identity, inbox, queues, runs, webhooks

__all__ = ["crons", "identity", "inbox", "queues", "runs", "webhooks"]
