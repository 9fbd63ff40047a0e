"""`python -m tests.house`: the report in one screen; with `prose`, every phrase and its place."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.house.circles import circles, of_folders
from tests.house.prose import Place, found
from tests.house.sources import PACKAGES, Module, imported, read

ROOT = Path(__file__).resolve().parents[2]
MOST_MODULES, MOST_LINES, MOST_LINES_OF_FUNCTION = 14, 300, 50
#: Folders that may have any number of modules.
MAY_GROW = ("runs.management.commands",)
#: Modules that Python, Django, Channels or every layer looks for at the root of an application.
KNOWN = {
    "__init__", "__main__", "apps", "models", "admin", "urls", "asgi", "wsgi", "settings", "signals", "receivers", "consumers", "tests",
    "conf", "version", "exceptions", "encoding", "serializers", "deletion",
    "disclosure", "display", "expiry", "filters", "metadata", "redaction",
}  # fmt: skip
#: The most lines of a section of the report.
SHOWN = 6


def main(arguments: list[str]) -> int:
    modules = read(ROOT, *PACKAGES)
    if "prose" in arguments:
        for place in prose(modules):
            print(f"{place.path}:{place.line}: [{place.phrase}] {place.text}")
        return 0
    graph = {name: imported(module, modules) for name, module in modules.items()}
    folders = {name: module.folder for name, module in modules.items()}
    section(f"Folders of more than {MOST_MODULES} modules", large_folders(modules))
    section(f"Modules of more than {MOST_LINES} lines", large_modules(modules))
    section(f"Functions of more than {MOST_LINES_OF_FUNCTION} lines", large_functions(modules))
    section("Names at the roots that are no layer's", roots(modules))
    section("Circles of modules", [" ⇄ ".join(each) for each in circles(graph)])
    section("Circles of folders", [" ⇄ ".join(each) for each in circles(of_folders(graph, folders))])
    places = prose(modules)
    by_phrase = Counter(place.phrase for place in places)
    by_folder = Counter(str(place.path.parent) for place in places)
    section(
        "Archaic phrases (all of them: make house ARGS=prose)",
        [counted(by_phrase, 12), "most in " + counted(by_folder, 6)] if places else [],
        len(places),
    )
    return 0


def section(title: str, lines: Iterable[str], number: int | None = None) -> None:
    lines = list(lines)
    print(f"{title}: {len(lines) if number is None else number}")
    for line in lines[:SHOWN]:
        print(f"    {line if len(line) <= 150 else line[:149] + '…'}")
    if len(lines) > SHOWN:
        print(f"    and {len(lines) - SHOWN} more")


def counted(counts: Mapping[str, int], most: int) -> str:
    return ", ".join(f"{name} {number}" for name, number in Counter(counts).most_common(most))


def large_folders(modules: Mapping[str, Module]) -> list[str]:
    members: dict[str, list[str]] = defaultdict(list)
    for name, module in modules.items():
        if not module.is_package and module.folder not in MAY_GROW:
            members[module.folder].append(name)
    return [f"{name} {len(held)}" for name, held in sorted(members.items()) if len(held) > MOST_MODULES]


def large_modules(modules: Mapping[str, Module]) -> list[str]:
    return [f"{each.path} {each.lines}" for each in modules.values() if each.lines > MOST_LINES]


def large_functions(modules: Mapping[str, Module]) -> list[str]:
    return [
        f"{module.path}:{function.lineno} {function.name} {lines}"
        for module in modules.values()
        for function, lines in module.functions()
        if lines > MOST_LINES_OF_FUNCTION
    ]


def roots(modules: Mapping[str, Module]) -> list[str]:
    """The modules at the root of an application that not every layer looks for."""
    return [
        str(module.path)
        for module in modules.values()
        if module.name.count(".") == 1 and not module.is_package and module.path.stem not in KNOWN
    ]


def prose(modules: Mapping[str, Module]) -> list[Place]:
    texts = {each.path: each.text for each in [*modules.values(), *read(ROOT, "tests").values()]}
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    texts |= {page.relative_to(ROOT): page.read_text() for page in pages}
    # This module contains the phrases themselves.
    return [
        place
        for path, text in texts.items()
        if path.parts[:2] != ("tests", "house")
        for place in found(path, text)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
