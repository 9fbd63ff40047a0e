"""A model that costs nothing, so that what the store does for it shows."""

from __future__ import annotations


def embed(texts: list[str]) -> list[list[float]]:
    return [[1.0, 0.0] for _ in texts]
