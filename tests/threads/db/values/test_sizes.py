"""How many rows a number of bytes is enough for."""

from __future__ import annotations

import pytest

from threads.db.values.sizes import fitting


@pytest.mark.parametrize(
    ("sizes", "most", "rows"),
    [([], 10, 0), ([5], 10, 1), ([50], 10, 1), ([5, 5, 1], 10, 2), ([50, 1], 10, 1), ([50, 50], 0, 2)],
)
def test_how_many_rows_fit(sizes: list[int], most: int, rows: int) -> None:
    assert fitting(sizes, most) == rows
