"""Python's garbage collector, in a process that serves for long."""

from __future__ import annotations

import gc

#: How many more objects are made than freed between two collections of the youngest. Python's own 700 is a quarter of
#: what one small run makes.
YOUNGEST = 20_000


def collect_less() -> None:
    """Leave what the start has made out of all collections, and look for garbage more seldom.

    Nearly all that is alive then, two hundred thousand objects, lives as long as the process: going through it again and
    again to find nothing costs a fifth of the processor time of a token stream. (Measured: docs/reference/benchmarks.md.)
    """
    gc.freeze()
    gc.set_threshold(YOUNGEST, *gc.get_threshold()[1:])
