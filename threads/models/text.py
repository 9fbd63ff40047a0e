"""The table of threads' texts."""

from __future__ import annotations

from django.db import models


class ThreadText(models.Model):
    """What a thread says, for searching: a thread without a title and messages has no row.

    The databases index `words`: PostgreSQL by a GIN index, SQLite by an FTS5
    table that triggers keep (migration 0010).
    """

    #: An integer key, which FTS5 needs.
    id = models.BigAutoField(primary_key=True)
    thread = models.OneToOneField("threads.Thread", on_delete=models.CASCADE, related_name="text")
    title = models.TextField()
    #: The text of its messages (`threads.texts.content`).
    text = models.TextField()
    #: The words of both, and a mark of the thread's user, sorted and separated by spaces.
    words = models.TextField()

    def __str__(self) -> str:
        return f"{self.thread_id}: {self.title}"
