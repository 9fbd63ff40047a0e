"""Python's garbage collector in a long-lived server process."""

from __future__ import annotations

import gc

#: The net number of new objects that starts a collection of the youngest generation. Python's default of 700
#: is a quarter of what one small run allocates.
YOUNGEST = 20_000


def collect_less() -> None:
    """Exclude the objects of the start from all collections, and collect less often.

    Nearly all of these two hundred thousand objects live as long as the process. Traversing them in
    each collection costs a fifth of the processor time of a token stream. (Measured:
    docs/reference/benchmarks.md.)
    """
    gc.freeze()
    gc.set_threshold(YOUNGEST, *gc.get_threshold()[1:])
