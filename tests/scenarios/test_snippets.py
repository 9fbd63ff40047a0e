"""What the pages tell people to type: code compiles, its imports exist, and commands, options, targets and settings are there."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from deerflow_site.commands.line import COMMANDS
from runs.conf import RunSettings
from tests.scenarios.test_documentation import PAGES, ROOT, name

BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
#: Modules of the examples' own.
EXAMPLES = {"myproject", "mysite"}
#: Programs that are not this project's.
OTHERS = {"cd", "curl", "docker", "export", "git", "kill", "pip", "python", "psql", "uv", "wscat"}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def blocks(*languages: str) -> list[object]:
    return [*_blocks(languages)]


def _blocks(languages: tuple[str, ...]) -> Iterator[object]:
    for page in PAGES:
        text = page.read_text()
        for number, found in enumerate(BLOCK.finditer(text)):
            if found[2] in languages:
                yield pytest.param(textwrap.dedent(found[3]), id=f"{name(page)}-{number}")


@pytest.mark.parametrize("code", blocks("python"))
def test_python_compiles_and_imports_what_exists(code: str) -> None:
    compiled = compile(
        code, "<page>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST, dont_inherit=True
    )
    for node in ast.walk(compiled):
        if isinstance(node, ast.Import):
            for each in node.names:
                assert importlib.import_module(each.name)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] not in EXAMPLES:
            module = importlib.import_module(node.module)
            for each in node.names:
                assert hasattr(module, each.name) or importlib.import_module(f"{node.module}.{each.name}")


@pytest.mark.parametrize("code", blocks("json", "jsonc"))
def test_json_is_json(code: str) -> None:
    assert json.loads(re.sub(r"^\s*//.*$", "", code, flags=re.MULTILINE))


@pytest.mark.parametrize("code", blocks("console"))
def test_commands_exist_with_their_options(code: str) -> None:
    lines = [line.removeprefix("$ ").partition("  #")[0].strip() for line in code.splitlines()]
    typed = [line for line, raw in zip(lines, code.splitlines(), strict=True) if raw.startswith("$ ")]
    assert typed
    for line in typed:
        check_command(line)


def check_command(line: str) -> None:
    words = shlex.split(re.sub(r"[\[\]…]", "", line))
    while words and "=" in words[0]:
        words = words[1:]
    if words[:2] == ["python", "manage.py"] or words[0] == "manage.py":
        check_management(words[words.index("manage.py") + 1 :])
    elif words[0] == "deerflow":
        if words[1] not in COMMANDS:
            check_management(words[1:] if words[1] in get_commands() else ["agents", *words[1:]])
    elif words[0] == "make":
        assert words[1] in TARGETS, line
    else:
        program = words[0].rsplit("/", 1)[-1]
        assert program in OTHERS, line


def check_management(words: list[str]) -> None:
    parser, rest = parser_of(words[0]), words[1:]
    while rest and (inner := subparsers(parser)):
        if rest[0] not in inner:
            break
        parser, rest = inner[rest[0]], rest[1:]
    known = set(parser._option_string_actions)
    for option in (word.partition("=")[0] for word in rest if word.startswith("--")):
        assert option in known, f"{words}: {option}"


@cache
def parser_of(command: str) -> argparse.ArgumentParser:
    assert command in get_commands(), f"manage.py {command}"
    return load_command_class(get_commands()[command], command).create_parser("manage.py", command)


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_the_text_names_is_there(page: Path) -> None:
    text = page.read_text()
    for command in re.findall(r"`(?:python )?manage\.py (\w+)", text):
        assert command in get_commands(), command
    for nouns in re.findall(r"`(?:python )?manage\.py agents ([a-z]+)(?: ([a-z]+))?", text):
        noun, verb = nouns
        of_agents = subparsers(parser_of("agents"))
        assert noun in of_agents, noun
        inner = subparsers(of_agents[noun])
        assert not verb or not inner or verb in inner, nouns
    for target in re.findall(r"`make ([a-z-]+)", text):
        assert target in TARGETS, target
    # The changelog also names what is no more.
    for setting in [] if page.name == "CHANGELOG.md" else re.findall(r"RUNS\[\"(\w+)\"\]", text):
        assert setting in RunSettings.__annotations__, setting
