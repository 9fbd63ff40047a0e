"""Texts that a query language, a database or an encoder could stumble over."""

from __future__ import annotations

NASTY = [
    "\0", "a\0b", "'", '"', "''; DROP TABLE threads_thread; --", "heron' | 'x", '"heron" OR "x"', "heron:*", "a:A & !b <-> c",
    "NEAR(heron lake, 5)", "NOT heron", "AND", "OR", "words : heron", "{words} : heron", "^heron", "her*", "\\", "\\'", "%s %(x)s {} {0}",
    "@1", "-heron", "(((((", ")", "*", ":*", "&", "|", "!", "<->", " ", "\t\n\r", "\u2028\u202e\ufeff", "🤖", "👩‍👩‍👧‍👦", "é" * 99, "ﬃ İ ß ŉ",
    "\U000e0001\U0010ffff", "1e999 0x1f -1.5e-3", "京都", "کتاب‌ها", "़", "͏", "x" * 256,
]  # fmt: skip
