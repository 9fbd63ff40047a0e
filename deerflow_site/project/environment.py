"""`env` of a langgraph.json: a file of `NAME=value` lines, or a mapping."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from deerflow_site.project.errors import ProjectError
from deerflow_site.project.keys import NO_ENCRYPTION

#: With the value "ignore", the file that `env` names is not read: the environment is set from outside, as in a
#: container.
SWITCH = "DEERFLOW_ENV_FILE"
#: Variables by which LangGraph's own server encrypts what it stores.
ENCRYPTION = ("LANGGRAPH_AES_KEY", "LANGGRAPH_AES_JSON_KEYS")
_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.*)")
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\s*(?:\#.*)?""")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def variables(env: str | Mapping[str, Any] | None, *, file: Path) -> dict[str, str]:
    """The variables that `env` sets. Raises ProjectError.

    Args:
        file: The langgraph.json, in whose folder a file of variables is looked for.
    """
    if not env or (isinstance(env, str) and os.environ.get(SWITCH) == "ignore"):
        return {}
    if not isinstance(env, str):
        for name, value in env.items():
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise ProjectError(f"{file.name}: 'env.{name}' must be a text, not {value!r}.")
        return {name: str(value) for name, value in env.items()}
    path = file.parent / env
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        example = path.with_name(path.name + ".example")
        hint = f" Copy {example.name} to it and fill it in." if example.is_file() else ""
        raise ProjectError(f"{file.name}: 'env' names {env}, which cannot be read: {reason}.{hint}") from None
    return parsed(lines, where=f"{file.name}: 'env' names {env}, whose line")


def parsed(lines: list[str], *, where: str) -> dict[str, str]:
    """The variables of a file's lines. Raises ProjectError, which begins with `where`."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ProjectError(f"{where} {number} is not NAME=value.")
        found[match["name"]] = _value(match["value"])
    return found


def _value(written: str) -> str:
    if quoted := _QUOTED.fullmatch(written):
        if quoted["quote"] == "'":
            return quoted["text"]
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), quoted["text"])
    return re.sub(r"(^|\s+)#.*", "", written).strip()


def require_supported(environ: Mapping[str, str] = os.environ) -> None:
    """Raise ProjectError for a variable that promises what this server does not do."""
    for name in ENCRYPTION:
        if environ.get(name):
            raise ProjectError(f"The variable {name} is not supported: {NO_ENCRYPTION}.")


def apply(given: Mapping[str, str], environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables that the real environment does not have."""
    for name, value in given.items():
        environ.setdefault(name, value)
