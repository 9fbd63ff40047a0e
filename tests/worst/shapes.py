"""Values that cost more than they weigh, as the bytes of their JSON. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

#: Makes a value of about so many bytes.
Shape = Callable[[int], bytes]

#: Containers and values that the parser lets through, a little below its limits.
CONTAINERS, VALUES, NAMES = 99_000, 290_000, 149_000
#: The deepest nesting that may be, less what is around the value.
DEPTH = 58


def text(unit: str) -> Shape:
    """A text that repeats a unit, which is written as JSON has it inside of quotes."""
    raw = unit.encode()
    return lambda size: b'"' + raw * max(1, size // len(raw)) + b'"'


def many(item: str, most: int = VALUES) -> Shape:
    """A list that repeats a value."""
    raw = item.encode()
    return lambda size: b"[" + b",".join([raw] * max(1, min(most, size // (len(raw) + 1)))) + b"]"


def keys(size: int, most: int = VALUES) -> bytes:
    names = (f'"k{number}":{number}'.encode() for number in range(max(1, min(most, size // 18))))
    return b"{" + b",".join(names) + b"}"


def allowed_keys(size: int) -> bytes:
    return keys(size, NAMES)


def same_keys(size: int) -> bytes:
    return b"{" + b",".join([b'"a":{}'] * max(1, min(CONTAINERS, size // 7))) + b"}"


def tall(depth: int) -> Shape:
    """Lists of one list of one list, and so on, beside one another."""
    tower = "[" * depth + "]" * depth
    return many(tower, max(1, CONTAINERS // depth))


def bottomless(size: int) -> bytes:
    return b"[" * size


def places(size: int) -> bytes:
    """Checkpoints by namespaces."""
    checkpoint = b'"00000000-0000-4000-8000-000000000000"'
    names = (b'"k%d":%s' % (number, checkpoint) for number in range(max(1, min(NAMES, size // 48))))
    return b"{" + b",".join(names) + b"}"


def table(size: int) -> bytes:
    """Lists beside lists, which a comparison of each with each multiplies."""
    row = b"[" + b",".join([b"9"] * 300) + b"]"
    return b"[" + b",".join([row] * max(1, min(VALUES // 300, size // len(row)))) + b"]"


def digits(size: int) -> bytes:
    return b"9" * size


def message(role: str) -> Shape:
    """A state with one message, whose role no model has."""
    raw = role.encode()
    return lambda size: b'{"messages":[{"role":"' + raw * max(1, size // len(raw)) + b'","content":"x"}]}'


def messages(size: int) -> bytes:
    """As many messages as an input may have, and as large as they can be then."""
    content = b"x" * max(1, size // 200)
    each = b'{"role":"user","content":"' + content + b'"}'
    return b'{"messages":[' + b",".join([each] * 200) + b"]}"


def blocks(size: int) -> bytes:
    """A message of many parts."""
    part = b'{"type":"text","text":"a"}'
    parts = b",".join([part] * max(1, min(CONTAINERS, size // (len(part) + 1))))
    return b'{"messages":[{"role":"user","content":[' + parts + b"]}]}"


def inside(template: str, make: Shape) -> Shape:
    """A value at the place of `@` in JSON."""
    before, _, after = template.partition("@")
    return lambda size: before.encode() + make(size) + after.encode()


def secrets(size: int) -> bytes:
    pairs = (
        f'"token{number}":"Bearer a-a-a-a-a"'.encode() for number in range(max(1, min(VALUES, size // 32)))
    )
    return b"{" + b",".join(pairs) + b"}"


SHAPES: dict[str, Shape] = {
    "long text": text("x"),
    "hyphens": text("a-"),
    "secret words": text("token-"),
    "blanks": text(" "),
    "stars": text("* "),
    "dots": text("a."),
    "brackets in text": text("[0]"),
    "percent": text("%25"),
    "quotes": text('\\"'),
    "escapes": text("\\u0041"),
    "nul": text("\\u0000"),
    "emoji": text("\\ud83d\\ude00"),
    "line ends": text("\\r\\n"),
    "digits": digits,
    "fractions": many("0.12345678901234567"),
    "exponents": many("1e308"),
    "numbers": many("9"),
    "texts": many('"a"'),
    "different lists": many("[9,8]", CONTAINERS),
    "objects": many("{}", CONTAINERS),
    "keys": keys,
    "allowed keys": allowed_keys,
    "same keys": same_keys,
    "towers": tall(DEPTH),
    "bottomless": bottomless,
    "lists by lists": table,
    "secrets": secrets,
    "one strange message": message("a-"),
    "messages": messages,
    "blocks": blocks,
}

#: More messages than an input may have, as small as they can be.
SMALL_MESSAGES = inside('{"messages":@}', many('"a"'))

#: What costs much in a field of this name alone, whatever the route.
OF_FIELDS: dict[str, dict[str, Shape]] = {
    "command": {
        # Each is prepared for each task of a step.
        "targets": inside('{"goto":@}', many('{"node":"talk","input":{}}', CONTAINERS // 2)),
        "messages in pairs": inside('{"update":[["messages",@]]}', many('"a"')),
        "names": inside('{"update":@}', allowed_keys),
        "pairs": inside('{"update":@}', many('["messages",[]]', CONTAINERS // 2)),
        "packets": inside('{"update":{"__pregel_tasks":@}}', many("1")),
        "sent messages": inside('{"goto":{"node":"talk","input":@}}', SMALL_MESSAGES),
    },
    "checkpoint": {
        "places": inside('{"checkpoint_map":@}', places),
        "long namespace": inside(
            '{"checkpoint_id":"00000000-0000-4000-8000-000000000000","checkpoint_ns":@}', text("a|")
        ),
    },
    "filter": {
        # Digits of two bytes each, and a name that begins anew at each character of an item.
        "comparison": inside('{"n":{"$gt":@}}', text("\u0661")),
        "short comparison": inside('{"n":{"$gt":@}}', lambda size: text("1")(1000)),
        "name": lambda size: b"{" + text('\\"')(size // 4) + b':"x"}',
    },
    "index": {
        "long path": inside("[@]", text("a.")),
        "fields": lambda size: b'["{' + b",".join([b"text"] * 500) + b'}"]',
        "few fields": lambda size: b'["{' + b",".join([b"text"] * 32) + b'}"]',
    },
    "input": {"small messages": SMALL_MESSAGES},
    "values": {"small messages": SMALL_MESSAGES},
    "supersteps": {
        "small messages": inside('[{"updates":[{"as_node":"talk","values":@}]}]', SMALL_MESSAGES),
        "updates by supersteps": many(
            '{"updates":[' + ",".join(['{"as_node":"talk","values":{"messages":[]}}'] * 100) + "]}", 1000
        ),
        "supersteps": many('{"updates":[{"as_node":"talk","values":{"messages":[]}}]}', 1000),
        "updates": inside('[{"updates":@}]', many('{"as_node":"talk","values":{"messages":[]}}', 100)),
    },
}


def of_schema(schema: dict[str, Any], named: dict[str, Any]) -> dict[str, Shape]:
    """The worst that a schema itself lets through: as many items as may be, as large as they may be."""
    found: dict[str, Shape] = {}
    for each in _alternatives(schema, named):
        if each.get("type") == "array":
            found["full list"] = _full(each, named)
        elif each.get("type") == "string" and "maxLength" in each:
            found["full text"] = lambda size, each=each: b'"' + b"x" * min(size, each["maxLength"]) + b'"'  # type: ignore[misc]
        elif each.get("type") == "integer" or each.get("type") == "number":
            found["largest"] = lambda size, each=each: b"%d" % each.get("maximum", 2**63)  # type: ignore[misc]
    return found


def _full(schema: dict[str, Any], named: dict[str, Any]) -> Shape:
    most = schema.get("maxItems", VALUES)

    def made(size: int) -> bytes:
        items = itertools.cycle(_samples(schema.get("items", {}), named, size // most))
        return b"[" + b",".join(itertools.islice(items, most)) + b"]"

    return made


def _samples(schema: dict[str, Any], named: dict[str, Any], size: int) -> list[bytes]:
    """Values that a schema allows, of at most about so many bytes each."""
    samples = []
    for each in _alternatives(schema, named):
        if "enum" in each:
            samples += [json.dumps(value).encode() for value in each["enum"]]
        elif each.get("format") == "uuid":
            samples.append(b'"00000000-0000-4000-8000-000000000000"')
        elif each.get("type") == "array":
            samples.append(_full({**each, "maxItems": min(each.get("maxItems", 32), 32)}, named)(size))
        elif each.get("type") == "object" and each.get("required"):
            samples.append(sample(each, named))
        elif each.get("type") == "object":
            samples.append(keys(max(18, size)))
        else:
            samples.append(text("a-")(max(2, size)))
    return samples


def sample(schema: dict[str, Any], named: dict[str, Any]) -> bytes:
    """An object with no more than what it must have."""
    needed = {name: _samples(schema["properties"][name], named, 2)[0] for name in schema["required"]}
    return b"{" + b",".join(json.dumps(name).encode() + b":" + raw for name, raw in needed.items()) + b"}"


def _alternatives(schema: dict[str, Any], named: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _alternatives(named[schema["$ref"].rsplit("/", 1)[1]], named)
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in _alternatives(one, named)]
    return [schema] if schema.get("type") != "null" else []
