"""Embeddings as bytes, and their similarity. Pure.

Vectors have length 1 and are little-endian float32, concatenated: an item has one for each of its
texts. The cosine of two such vectors is 1 - d²/2, where d is their distance. `math.dist` computes d
in C; no sum of products is as fast without a numerical library.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence

#: The size of a number in bytes.
WIDTH = 4


def unit(vector: Sequence[float]) -> tuple[float, ...]:
    """The vector scaled to length 1; zeros stay zeros.

    Raises ValueError for numbers that are not finite.
    """
    numbers = tuple(float(number) for number in vector)
    length = math.hypot(*numbers)
    if not math.isfinite(length):
        raise ValueError("an embedding has numbers that are not finite")
    return tuple(number / length for number in numbers) if length else numbers


def pack(vectors: Iterable[Sequence[float]]) -> bytes:
    """The vectors as bytes, without zero vectors, which have no direction."""
    return b"".join(struct.pack(f"<{len(each)}f", *each) for each in map(unit, vectors) if any(each))


def score(query: tuple[float, ...], packed: bytes) -> float | None:
    """The cosine of a query (a `unit`) and the nearest of an item's vectors.

    None if none has its size.
    """
    size = WIDTH * len(query)
    if not packed or len(packed) % size:
        return None
    if not any(query):
        return 0.0
    nearest = min(math.dist(query, each) for each in struct.iter_unpack(f"<{len(query)}f", packed))
    return 1.0 - nearest * nearest / 2.0
