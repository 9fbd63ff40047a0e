"""LangGraph's checkpoints: opening their storage, and the only path that writes them.

    ThreadWriter ──rows──► GroupCommit ──one transaction──► PostgresCheckpoints | SqliteCheckpoints

A `ThreadWriter` is the saver that LangGraph sees. There is one for each run; it encodes, shields,
tracks, fences and seals. It owns no connection: it passes its rows to the process's one
`GroupCommit` and waits for the commit, so that the writes of many runs share transactions.
"""

from threads.checkpoints import jumps
from threads.checkpoints.opening import open_checkpoints
from threads.checkpoints.rows import Fenced, Rows, Sealed, StorageFailed, StorageUnavailable
from threads.checkpoints.storage import CheckpointStorage
from threads.checkpoints.writer import ThreadWriter

__all__ = [
    "CheckpointStorage",
    "Fenced",
    "Rows",
    "Sealed",
    "StorageFailed",
    "StorageUnavailable",
    "ThreadWriter",
    "open_checkpoints",
]

jumps.install()
