"""One of several concurrent claimers: `python -m tests.bench.claiming SECONDS`.

A line on stdin starts it.

It holds as many runs as a worker with default settings, then ends them outside the measured time.
"""

from __future__ import annotations

import sys
import time

BATCH, KEPT = 20, 100


def main(seconds: float) -> None:
    import django

    django.setup()
    from runs.lifecycle import claims
    from runs.models import Run
    from runs.process.leases import register
    from threads.db import clock
    from threads.db.ids import new_id

    worker = new_id()
    register(worker, KEPT)
    print("ready", flush=True)
    sys.stdin.readline()
    began, claimed, kept, inside = time.perf_counter(), 0, 0, 0.0
    while time.perf_counter() - began < seconds:
        at = time.perf_counter()
        found = len(claims.claim(worker, limit=BATCH))
        inside += time.perf_counter() - at
        claimed, kept = claimed + found, kept + found
        if not found:
            break
        if kept >= KEPT:
            now = clock.now()
            Run.objects.owned_by([worker]).update(status="success", worker=None, finished_at=now)
            kept = 0
    print(claimed, inside, flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
