"""What people type into the search box."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.admin.run_search.terms import Term, UnknownTerm, parsed


def test_words_and_qualifiers() -> None:
    text = 'user:ada status:error,timeout meta.ticket:T-17 input:"ORD 114" a4e80da8 "two words"'
    assert parsed(text) == [
        Term("user", "ada"),
        Term("status", "error,timeout"),
        Term("meta", "T-17", "ticket"),
        Term("input", "ORD 114"),
        Term("", "a4e80da8"),
        Term("", "two words"),
    ]
    assert parsed("  ") == []


def test_other_words_for_a_status() -> None:
    assert parsed("status:Failed,interrupted,waiting") == [Term("status", "error,cancelled,waiting")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour:red", "There is no qualifier 'colour'. There are: id:a4e80da8,"),
        ("status:lost", "There is no status 'lost'. There are: pending,"),
        ("user:", "'user' needs a value, such as user:ada."),
        ("meta:x", "Write meta.ticket:T-17."),
        ("user.x:ada", "Write user:ada."),
        ('error:"half', "close each quote"),
        ('"a"b', "separate conditions by spaces"),
    ],
)
def test_what_cannot_be_understood_is_said(text: str, told: str) -> None:
    with pytest.raises(UnknownTerm) as refused:
        parsed(text)
    assert told in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UnknownTerm):
        assert all(isinstance(each, Term) for each in parsed(text))
