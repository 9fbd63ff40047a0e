"""Tables: threads, edits of their state, their texts, checkpoints on their way, and store items."""

from threads.models.edit import StateEdit
from threads.models.item import StoreItem
from threads.models.landing import Landing
from threads.models.text import ThreadText
from threads.models.thread import Thread, ThreadStatus, TtlStrategy

__all__ = [
    "Landing",
    "StateEdit",
    "StoreItem",
    "Thread",
    "ThreadStatus",
    "ThreadText",
    "TtlStrategy",
]
