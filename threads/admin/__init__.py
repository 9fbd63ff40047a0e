"""Threads and store items in the admin, read-only."""

from threads.admin import items, threads

__all__ = ["items", "threads"]
