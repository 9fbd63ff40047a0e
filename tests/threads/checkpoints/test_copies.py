from __future__ import annotations

import pytest

from threads.checkpoints.copies import Part, pages


def part(number: int, *, table: str = "checkpoints", rows: int = 1, size: int = 1) -> Part:
    return Part(table, ("", str(number)), rows, size)


@pytest.mark.parametrize(
    ("parts", "lengths"),
    [
        ([], []),
        ([part(number) for number in range(7)], [3, 3, 1]),
        ([part(0, rows=9), part(1), part(2, rows=3)], [1, 1, 1]),
        ([part(0, size=99), part(1, size=60), part(2, size=40), part(3, size=1)], [1, 2, 1]),
        ([part(0, size=500), part(1)], [1, 1]),
        ([part(0, table="blobs"), part(1), part(2)], [1, 2]),
    ],
)
def test_pages_are_bounded_in_rows_and_bytes_and_of_one_table(parts: list[Part], lengths: list[int]) -> None:
    found = list(pages(parts, rows=3, most=100))
    assert [len(page) for page in found] == lengths
    assert [each for page in found for each in page] == parts
