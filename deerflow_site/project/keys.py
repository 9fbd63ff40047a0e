"""The keys that a langgraph.json may have, and why some of them are refused. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deerflow_site.project.errors import ProjectError


@dataclass(frozen=True)
class Key:
    """What a key may hold."""

    #: JSON types: "object", "list", "texts", "text", "number", "integer" and "flag".
    types: tuple[str, ...]
    #: The keys of an object; None where any may stand.
    inside: Mapping[str, Key] | None = None
    choices: tuple[str, ...] = ()
    #: Why the server refuses the key whatever it holds; "" if it does not.
    refused: str = ""
    required: tuple[str, ...] = ()
    #: The only value of a flag that is supported; None if both are.
    only: bool | None = None
    reason: str = ""


def text(*choices: str) -> Key:
    return Key(("text",), choices=choices)


def refused(reason: str) -> Key:
    return Key(("anything",), refused=reason)


def an_object(*required: str, **inside: Key) -> Key:
    return Key(("object",), inside, required=required)


TEXT, TEXTS, FLAG, NUMBER, INTEGER = (Key((kind,)) for kind in ("text", "texts", "flag", "number", "integer"))
ANY_OBJECT, LIST = Key(("object",)), Key(("list",))
HEADERS = an_object(includes=TEXTS, excludes=TEXTS, include=TEXTS, exclude=TEXTS)

NO_ENCRYPTION = "this server does not encrypt what it stores; encrypt the database's disk instead"

KEYS: dict[str, Key] = {
    "$schema": TEXT,
    "graphs": ANY_OBJECT,
    "env": Key(("text", "object")),
    "dependencies": TEXTS,
    "source": an_object("kind", kind=text("uv"), root=TEXT, package=TEXT),
    "auth": an_object(
        "path",
        path=TEXT,
        disable_studio_auth=FLAG,
        openapi=an_object(securitySchemes=ANY_OBJECT, security=LIST, paths=ANY_OBJECT),
        cache=an_object(cache_keys=TEXTS, ttl_seconds=NUMBER, max_size=INTEGER),
    ),
    "store": ANY_OBJECT,
    "checkpointer": an_object(
        path=refused("every write is fenced by its run's epoch, which needs this server's own checkpoint storage"),
        backend=refused("DATABASE_URL selects the database of checkpoints and everything else"),
        ttl=an_object(
            strategy=text("delete", "keep_latest"),
            default_ttl=NUMBER,
            sweep_interval_minutes=NUMBER,
            sweep_limit=INTEGER,
        ),
        serde=an_object(
            allowed_msgpack_modules=LIST,
            allowed_json_modules=Key(("list", "flag")),
            pickle_fallback=Key(
                ("flag",), only=False, reason="unpickling a checkpoint could execute what it holds"
            ),
        ),
    ),
    "webhooks": an_object(
        env_prefix=TEXT,
        url=an_object(
            require_https=FLAG,
            allowed_domains=TEXTS,
            allowed_ports=LIST,
            max_url_length=INTEGER,
            disable_loopback=Key(
                ("flag",), only=True, reason="webhooks of this server never go to loopback addresses"
            ),
        ),
        headers=ANY_OBJECT,
    ),
    "http": an_object(
        app=TEXT,
        disable_assistants=FLAG,
        disable_threads=FLAG,
        disable_runs=FLAG,
        disable_store=FLAG,
        disable_mcp=FLAG,
        disable_a2a=FLAG,
        disable_meta=FLAG,
        disable_ui=FLAG,
        disable_webhooks=FLAG,
        cors=an_object(
            allow_origins=TEXTS,
            allow_methods=TEXTS,
            allow_headers=TEXTS,
            allow_credentials=FLAG,
            allow_origin_regex=refused("list the origins in allow_origins instead"),
            expose_headers=TEXTS,
            max_age=INTEGER,
        ),
        configurable_headers=HEADERS,
        logging_headers=HEADERS,
        middleware_order=text("auth_first", "middleware_first"),
        enable_custom_route_auth=FLAG,
        mount_prefix=TEXT,
    ),
    "encryption": refused(NO_ENCRYPTION),
    "priority": refused("give each graph its own: {\"path\": …, \"priority\": 5}"),
    "ui": refused("this server has no components for generated user interfaces"),
    "ui_config": refused("this server has no components for generated user interfaces"),
    # For `deerflow dockerfile`.
    "python_version": TEXT,
    "node_version": TEXT,
    "api_version": TEXT,
    "base_image": TEXT,
    "image_distro": text("debian", "wolfi", "bookworm"),
    "pip_config_file": TEXT,
    "pip_installer": text("auto", "pip", "uv"),
    "dockerfile_lines": TEXTS,
    "keep_pkg_tools": Key(("flag", "texts")),
}  # fmt: skip

WORDS = {
    "object": "an object",
    "list": "a list",
    "texts": "a list of texts",
    "text": "a text",
    "number": "a number",
    "integer": "a whole number",
    "flag": "true or false",
}


@dataclass
class Checked:
    """The walk through one file."""

    name: str

    def check(self, value: Any, key: Key, path: str) -> None:
        """Raise ProjectError if the value at `path` is not what the key may hold."""
        if key.refused:
            raise ProjectError(f"{self.name}: {path!r} is not supported: {key.refused}.")
        if value is None:
            return
        if not any(_is(value, kind) for kind in key.types):
            wanted = " or ".join(WORDS[kind] for kind in key.types)
            raise ProjectError(f"{self.name}: {path!r} must be {wanted}, not {_shown(value)}.")
        if key.choices and value not in key.choices:
            raise ProjectError(
                f"{self.name}: {path!r} must be one of {', '.join(key.choices)}, not {_shown(value)}."
            )
        if key.only is not None and value is not key.only:
            raise ProjectError(f"{self.name}: {path!r} cannot be {str(value).lower()} here: {key.reason}.")
        if key.inside is not None and isinstance(value, dict):
            self.check_object(value, key.inside, path + ".")
            for name in key.required:
                if value.get(name) is None:
                    raise ProjectError(f"{self.name}: {path!r} needs {name!r}.")

    def check_object(self, value: Mapping[str, Any], keys: Mapping[str, Key], prefix: str = "") -> None:
        for name, each in value.items():
            if name not in keys:
                raise ProjectError(
                    f"{self.name}: {prefix + name!r} is not a known key; known are {', '.join(sorted(keys))}."
                )
            self.check(each, keys[name], prefix + name)


def _is(value: object, kind: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "object": isinstance(value, dict),
        "list": isinstance(value, list),
        "texts": isinstance(value, list) and all(isinstance(each, str) for each in value),
        "text": isinstance(value, str),
        "number": number and math.isfinite(value),  # type: ignore[arg-type]
        "integer": number and isinstance(value, int),
        "flag": isinstance(value, bool),
    }[kind]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
