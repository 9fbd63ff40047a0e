"""Writes the texts of threads that were made before there was a table of them."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection, transaction

from threads.models import Thread
from threads.texts.writing import write_of

#: Threads of one transaction.
BATCH = 50


def missing_texts() -> Iterator[int]:
    """Write the texts that are missing, the newest threads first; yield how many threads each transaction read.

    A thread that another transaction has locked is left out, because that one writes its text.
    """
    after: dict[str, object] = {}
    while True:
        with transaction.atomic():
            threads = Thread.objects.visible().filter(text__isnull=True, **after).order_by("-id")
            found = list(threads.values_list("id", flat=True)[:BATCH])
            locked = Thread.objects.filter(id__in=found, text__isnull=True)
            if connection.features.has_select_for_update_skip_locked:
                locked = locked.select_for_update(of=("self",), skip_locked=True)
            write_of(list(locked.only("id", "user_id", "metadata", "values")))
        if not found:
            return
        yield len(found)
        after = {"id__lt": found[-1]}
