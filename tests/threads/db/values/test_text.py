"""Which texts every database can store."""

from __future__ import annotations

import pytest

from threads.db.values.text import is_text, storable


def test_what_no_database_can_store_is_no_text() -> None:
    assert is_text("Ada, 😀 and \ud7ff\ue000")
    assert not any(map(is_text, ("\0", "a\0b", "\ud800", "a\udfff", "\udc00\ud800")))


@pytest.mark.parametrize(
    ("given", "stored"), [("Ada 😀", "Ada 😀"), ("a\0b", "a\ufffdb"), ("\udc00\ud800x", "\ufffd\ufffdx")]
)
def test_what_no_database_can_store_is_replaced(given: str, stored: str) -> None:
    assert storable(given) == stored
    assert is_text(stored)
