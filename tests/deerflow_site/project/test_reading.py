"""A langgraph.json is read whole: each key is known and of its type, or one sentence says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deerflow_site.project import ProjectError, read
from deerflow_site.project.keys import KEYS, Key

GRAPHS = {"agent": "./agent.py:graph"}


def write(folder: Path, **content: Any) -> Path:
    file = folder / "langgraph.json"
    file.write_text(json.dumps({"graphs": GRAPHS, **content}))
    return file


def refusal(folder: Path, **content: Any) -> str:
    with pytest.raises(ProjectError) as caught:
        _ = read(write(folder, **content)).env
    return str(caught.value)


@pytest.mark.parametrize("content, said", [
    ({"graphz": {}}, "langgraph.json: 'graphz' is not a known key; known are $schema, api_version,"),
    ({"http": {"corss": {}}}, "'http.corss' is not a known key; known are app, configurable_headers,"),
    ({"http": {"cors": {"max_age": "1"}}}, "'http.cors.max_age' must be a whole number, not '1'."),
    ({"http": {"disable_store": 1}}, "'http.disable_store' must be true or false, not 1."),
    ({"http": {"mount_prefix": "api"}}, "'http.mount_prefix' must begin with a slash"),
    ({"http": {"mount_prefix": "/api/"}}, "'http.mount_prefix' must begin with a slash"),
    ({"http": {"middleware_order": "last"}}, "must be one of auth_first, middleware_first, not 'last'."),
    ({"dependencies": "."}, "'dependencies' must be a list of texts, not '.'."),
    ({"dependencies": [1]}, "'dependencies' must be a list of texts, not [1]."),
    ({"graphs": {}}, "'graphs' names no graph"),
    ({"graphs": None}, "'graphs' names no graph"),
    ({"graphs": []}, "'graphs' must be an object, not []."),
    ({"graphs": {"a": "agent"}}, "'graphs.a' must be like \"./agent.py:graph\""),
    ({"graphs": {"a": {"description": "x"}}}, "'graphs.a' must be like"),
    ({"auth": {"disable_studio_auth": True}}, "'auth' needs 'path'."),
    ({"env": 3}, "'env' must be a text or an object, not 3."),
    ({"env": {"A": True}}, "'env.A' must be a text, not True."),
    ({"env": "missing.env"}, "'env' names missing.env, which cannot be read: No such file or directory."),
    ({"checkpointer": {"path": "./c.py:c"}}, "'checkpointer.path' is not supported: every write is fenced"),
    ({"ui": {"a": "b"}}, "'ui' is not supported"),
    ({"encryption": {"path": "a"}}, "'encryption' is not supported"),
    ({"webhooks": {"url": {"disable_loopback": False}}}, "'webhooks.url.disable_loopback' cannot be false here"),
    ({"checkpointer": {"serde": {"pickle_fallback": True}}}, "'checkpointer.serde.pickle_fallback' cannot be true"),
    ({"priority": {"path": "a"}}, "'priority' is not supported"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    message = refusal(tmp_path, **content)
    assert message.startswith("langgraph.json: ") and said in message
    assert "\n" not in message


@pytest.mark.parametrize("text, said", [
    ("{", "langgraph.json is not valid JSON"),
    ("[]", "langgraph.json is not an object"),
    ("\udcff", "langgraph.json is not valid JSON"),
])  # fmt: skip
def test_a_file_that_is_no_object(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "langgraph.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ProjectError, match=said):
        read(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=f"There is no {tmp_path}/langgraph.json."):
        read(tmp_path / "langgraph.json")


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    project = read(write(tmp_path, **{
        "$schema": "https://langgra.ph/schema.json", "python_version": "3.12", "dependencies": [".", "httpx"],
        "http": {"app": "./a.py:app", "cors": {"allow_origins": ["https://a.example"]}, "disable_mcp": True},
        "auth": {"path": "./auth.py:auth", "cache": {"cache_keys": ["x"], "ttl_seconds": 1.5, "max_size": 3}},
        "store": {"ttl": {"default_ttl": 3}}, "env": {"A": "1", "B": 2}, "keep_pkg_tools": ["pip"],
    }))  # fmt: skip
    assert project.graphs == GRAPHS and project.env == {"A": "1", "B": "2"}
    assert project.part("auth", "cache", "max_size") == 3 and project.part("auth", "nothing", "here") is None


def test_every_known_key_of_the_schema_has_a_type() -> None:
    def walk(keys: dict[str, Key], path: str = "") -> None:
        for name, key in keys.items():
            assert key.types, path + name
            walk(dict(key.inside or {}), f"{path}{name}.")

    walk(KEYS)
