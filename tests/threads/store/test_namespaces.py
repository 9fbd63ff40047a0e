"""Namespaces and keys as text."""

from __future__ import annotations

from threads.store.namespaces import is_text


def test_what_no_database_can_store_is_no_text() -> None:
    assert is_text("Ada, 😀 and \ud7ff\ue000")
    assert not any(map(is_text, ("\0", "a\0b", "\ud800", "a\udfff", "\udc00\ud800")))
