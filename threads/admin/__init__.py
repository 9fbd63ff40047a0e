"""Threads, and items of the store, in the admin: looked at, never edited."""

from threads.admin import items, threads

__all__ = ["items", "threads"]
