"""Python's garbage collector in a serving process.

Tested in separate processes because it is process-wide.
"""

from __future__ import annotations

import subprocess
import sys

GARBAGE = """
import gc, weakref
from runs.server.garbage_collection import YOUNGEST, collect_less

class Ring:
    def __init__(self):
        self.itself = self

collect_less()
frozen = gc.get_freeze_count()
alive = weakref.WeakSet()
most = 0
for _ in range(YOUNGEST * 3):
    alive.add(Ring())
    most = max(most, len(alive))
print(frozen, most, YOUNGEST)
"""


def test_what_the_start_has_made_is_left_alone_and_later_garbage_is_found() -> None:
    done = subprocess.run([sys.executable, "-c", GARBAGE], capture_output=True, text=True, check=True)
    frozen, most, youngest = map(int, done.stdout.split())
    assert frozen > 1000
    assert youngest / 4 < most <= youngest
