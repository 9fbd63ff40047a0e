"""Gives all threads a text to search: `python -m tests.bench.texts`, in a site's environment.

A thread has 20 messages of 40 words, about 5 kB, and each hundredth has 64 kB. Words are as
frequent as in a language: the n-th most frequent one is n times as rare as the first.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

WORDS = 20_000
MESSAGES, LENGTH = 20, 40
#: Each how manieth thread is a long one, and has the rare word.
LONG, RARE = 100, 1000
#: In each thread; in each thousandth.
COMMON_WORD, RARE_WORD = "common", "quixotic"
BATCH = 200


def vocabulary() -> list[str]:
    """Made-up words of two to four syllables."""
    syllables = [a + b for a, b in itertools.product("bdfgklmnprstvz", "aeiou")]
    chosen = random.Random(1)
    return ["".join(chosen.choices(syllables, k=chosen.choice((2, 3, 4)))) for _ in range(WORDS)]


def values(number: int, words: list[str], weights: list[float]) -> dict[str, Any]:
    """The values of the numbered thread."""
    chosen = random.Random(number)
    times = 14 if number % LONG == 0 else 1
    messages = [
        {
            "type": "ai" if place % 2 else "human",
            "content": " ".join(chosen.choices(words, cum_weights=weights, k=LENGTH)),
        }
        for place in range(MESSAGES * times)
    ]
    messages[-1]["content"] += f" {COMMON_WORD}" + (f" {RARE_WORD}" if number % RARE == 0 else "")
    return {"messages": messages}


def main() -> None:
    import django

    django.setup()
    from django.db import connection, transaction

    from threads.models import Thread
    from threads.texts.writing import write_of

    words = vocabulary()
    weights = list(itertools.accumulate(1 / (place + 1) for place in range(WORDS)))
    ids = list(Thread.objects.values_list("id", flat=True).order_by("id"))
    for start in range(0, len(ids), BATCH):
        with transaction.atomic():
            threads = list(Thread.objects.filter(id__in=ids[start : start + BATCH]).order_by("id"))
            for place, thread in enumerate(threads):
                thread.values = values(start + place, words, weights)
            Thread.objects.bulk_update(threads, ["values"])
            write_of(threads)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    print("ready", flush=True)


if __name__ == "__main__":
    main()
