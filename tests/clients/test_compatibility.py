"""`docs/reference/compatibility.md` names the tested versions, and existing files."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "reference" / "compatibility.md"
JAVASCRIPT = ROOT / "tests" / "clients", ROOT / "tests" / "browser"


def rows() -> list[list[str]]:
    table = DOCUMENT.read_text().split("\n\n")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def pinned() -> dict[str, set[str]]:
    """The versions of the packages that the scripts and pages use."""
    found: dict[str, set[str]] = {}
    for folder in JAVASCRIPT:
        for name, exact in read(folder, "package.json")["dependencies"].items():
            found.setdefault(name, set()).add(exact)
    return found


def test_the_versions_are_those_under_test() -> None:
    listed = {row[0]: row[1] for row in rows()}
    assert len(listed) == 7
    for client, number in listed.items():
        name = re.findall(r"`([^`]+)`", client)[0 if not client.startswith("`RemoteGraph`") else 1]
        package = name.removesuffix("/react") if name.startswith("@langchain/langgraph-sdk") else name
        expected = pinned()[package] if package.startswith("@") else {version(package)}
        assert {number} == expected, f"{client} is tested in version {expected}."


def test_packages_are_pinned_and_come_from_whatever_registry_is_used() -> None:
    for folder in JAVASCRIPT:
        wanted = read(folder, "package.json")
        for name, exact in {**wanted["dependencies"], **wanted.get("devDependencies", {})}.items():
            assert re.fullmatch(r"\d+\.\d+\.\d+", exact), f"{name} is not pinned."
            assert read(folder, "package-lock.json")["packages"][f"node_modules/{name}"]["version"] == exact
        assert '"resolved"' not in (folder / "package-lock.json").read_text()


def test_what_the_hook_brings_along_is_what_the_document_says() -> None:
    packages = read(JAVASCRIPT[1], "package-lock.json")["packages"]
    inner = packages["node_modules/@langchain/react/node_modules/@langchain/langgraph-sdk"]["version"]
    assert f"brings `@langchain/langgraph-sdk` {inner} along" in DOCUMENT.read_text()


def test_the_files_are_there() -> None:
    for target in re.findall(r"\]\((\.\./\.\./[^)]+)\)", DOCUMENT.read_text()):
        assert (DOCUMENT.parent / target).is_file(), target
