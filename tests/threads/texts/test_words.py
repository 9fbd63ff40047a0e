"""Words are folded the same way in texts and queries, and never contain what a query language means."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from tests.threads.texts.nasty import NASTY
from threads.texts.words import LONGEST, fold, pattern_of, terms_of, words_of


def finds(query: str, text: str) -> bool:
    words = words_of(normalize("NFC", text))
    terms = terms_of(query)
    return bool(terms) and all(any(word.startswith(term) for word in words) for term in terms)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("heron", "The Herons of the lake"),
        ("LAKE her", "The Herons of the lake"),
        ("cafe", "Un café crème"),
        ("café", "UN CAFE"),
        ("resume", normalize("NFD", "le résumé")),
        (normalize("NFD", "crème"), "Un café crème"),
        ("Ärger", "kein ärger"),
        ("москв", "Из Москвы"),
        ("ＡＢＣ", "abc"),
        ("foo_bar", "call foo_bar(1)"),
        ("bar", "call foo_bar(1)"),
        ("京都", "昨日京都に行きました。"),
        ("東京都", "東京都の人口"),
        ("都", "昨日、東京都"),
        ("カフェ", "駅前のカフェで"),
        ("ｶﾌｪ", "駅前のカフェで"),
        ("北京 weather", "The weather in 北京市 today"),
        ("서울", "서울에서 만나요"),
        ("หนังสือ", "ฉันอ่านหนังสือทุกวัน"),
        ("हिन्दी", "यह हिन्दी है"),
        ("🤖", "beep 🤖🎉"),
        ("x" * 200, "x" * 200),
    ],
)
def test_words_are_found(query: str, text: str) -> None:
    assert finds(query, text)
    wanted = pattern_of(query)
    assert wanted is not None
    assert wanted.search(fold(normalize("NFC", text)))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("eron", "The heron"),
        ("heron goose", "The heron"),
        ("がく", "かく"),
        ("京都", "東京の都"),
        ("🤖", "🎉"),
    ],
)
def test_other_words_are_not(query: str, text: str) -> None:
    assert not finds(query, text)


def test_terms_that_others_imply_are_left_out() -> None:
    assert terms_of("a her heron The the") == ["a", "heron", "the"]
    assert terms_of("-- !? \0 ' \" * ( )") == []
    assert pattern_of("?!") is None


@pytest.mark.parametrize("text", NASTY)
def test_words_have_only_letters_digits_and_emoji(text: str) -> None:
    assert len(fold(text)) == len(text)
    for word in words_of(text) | set(terms_of(text)):
        assert 0 < len(word) <= LONGEST
        assert not set(word) & set("'\"\\*:&|!()<>@^-+ \0\n\t%_{}")
