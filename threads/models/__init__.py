"""Tables: threads, edits of their state, their texts, and store items."""

from threads.models.edit import StateEdit
from threads.models.item import StoreItem
from threads.models.text import ThreadText
from threads.models.thread import Thread, ThreadStatus, TtlStrategy

__all__ = [
    "StateEdit",
    "StoreItem",
    "Thread",
    "ThreadStatus",
    "ThreadText",
    "TtlStrategy",
]
