"""Which bodies are accepted, and how others are refused."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runs.encoding import encode
from runs.exceptions import InvalidRequest
from runs.requests.bodies import RunCreate
from runs.requests.parsing import INVALID, parse
from runs.requests.run import RunRequest


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"[]" + b"}" * (depth - 1)


def test_json_is_returned_as_it_is() -> None:
    assert parse(b' {"a": [1, 2.5, null, "\xc3\xa4"]} ', depth=8) == {"a": [1, 2.5, None, "ä"]}


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"nope", b"NaN", b'{"a": Infinity}', b"[-Infinity]", b"1e999", b"{}{}"]
)
def test_what_is_no_json_is_refused_with_the_reference_servers_words(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=f"^{INVALID}$"):
        parse(body, depth=8)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": "\xff"}', "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b'["\xed\xa0\x80"]', "UTF-8"),
        (b'["\\ud800"]', "surrogate"),
        (b'["\\ud800\\ud800"]', "surrogate"),
        (b"[" + b"1," * 300_001 + b"1]", "more than 300,000 values"),
        (b"[" + b"[]," * 100_001 + b"1]", "more than 300,000 values"),
        (b"{" + b'"a":1,' * 150_001 + b'"a":1}', "more than 300,000 values"),
        (nested(9), "nested more than 8"),
        (b"[" * 100_000, "deep"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        parse(body, depth=8)


def test_a_nul_character_becomes_a_replacement_character() -> None:
    """PDFs' texts contain it, databases cannot store it, and the reference server replaces it too."""
    assert parse(b'{"a\\u0000": ["x\\u0000y", {"b": "\\u0000"}]}', depth=8) == {
        "a\ufffd": ["x\ufffdy", {"b": "\ufffd"}]
    }


def test_what_only_looks_like_a_nul_character_stays() -> None:
    assert parse(rb'{"a": "C:\\u0000", "b": "\\\u0000\u0000"}', depth=8) == {
        "a": "C:\\u0000",
        "b": "\\\ufffd\ufffd",
    }


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b'\\"' * 3_900_000 + b'"]',
        b"[" + b'"a",' * 1_600_000 + b"1]",
        b'["' + b"\\" * 7_999_990 + b'"]',
        b"[" * 7_000_000,
        b'["' + b"a,[" * 2_500_000 + b'"]',
        b"[" + b'"\\u0000",' * 290_000 + b"1]",
        b"{" + b",".join(b'"k%d":1' % number for number in range(149_000)) + b"}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(490_000)) + b"}",
    ],
    ids=[
        "quotes",
        "strings",
        "backslashes",
        "brackets",
        "separators in a string",
        "nul",
        "names",
        "more names",
    ],
)
def test_the_worst_bodies_take_no_longer_than_long_ordinary_ones(body: bytes) -> None:
    ordinary = b'["' + b"a" * len(body) + b'"]'

    def seconds(each: bytes) -> float:
        began = time.perf_counter()
        with suppress(InvalidRequest):
            parse(each, depth=64)
        return time.perf_counter() - began

    usual = min(seconds(ordinary) for _ in range(3))
    assert min(seconds(body) for _ in range(3)) < 0.1 + 30 * usual


def test_the_deepest_nesting_that_is_allowed_is_allowed() -> None:
    assert parse(nested(8), depth=8)


def test_brackets_in_strings_and_breadth_are_no_depth() -> None:
    assert parse(b'["[[[[[[[[[[[[", {}, {}, {}, {}, {}, {}, {}, {}]', depth=2)


def test_a_backslash_before_u0000_is_text() -> None:
    assert parse(rb'["\\u0000"]', depth=2) == ["\\u0000"]


@given(st.binary(max_size=60))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        data = parse(body, depth=4)
    except InvalidRequest:
        return
    assert parse(orjson.dumps(data), depth=4) == data


texts = st.text(max_size=6) | st.sampled_from(
    ["*", "values", "steps", "enqueue", "__pregel_x", "thread_id", "resume", "goto", "node", "\0", "cancel"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
bodies = values | st.dictionaries(st.sampled_from(sorted(RunCreate.model_fields)), values, max_size=6).map(
    lambda fields: {"assistant_id": "steps", **fields}
)


@settings(max_examples=600, deadline=None)
@given(bodies, st.booleans())
def test_any_json_is_a_request_that_can_be_stored_or_is_refused(body: Any, stateless: bool) -> None:
    try:
        data = parse(json.dumps(body).encode("utf-8", "surrogatepass"), depth=64)
        request = RunCreate.model_validate(data).request(stateless=stateless)
    except (InvalidRequest, ValidationError):
        return
    assert isinstance(request, RunRequest)
    for stored in (request.metadata, request.config, request.context):
        assert isinstance(stored, dict)
        encode(stored)
