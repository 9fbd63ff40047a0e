"""The pages for people who read about this project: every link leads somewhere, and every page is found."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
#: The README fits on two screens; what needs more words has a page of its own.
WORDS = 600
CODE = re.compile(r"```.*?```", re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> list[tuple[str, str]]:
    """The links to files of the project: (path, anchor)."""
    found = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", CODE.sub("", page.read_text()))
    return [(path, anchor) for path, anchor in found if not path.startswith("http")]


def anchors(page: Path) -> set[str]:
    """The headings' anchors, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {path}."
        assert not anchor or anchor in anchors(target), f"{name(page)} links to {path}#{anchor}."


def test_every_page_is_found_from_the_index() -> None:
    index = DOCS / "index.md"
    linked = {(DOCS / path).resolve() for path, _ in links(index)}
    assert [name(page) for page in DOCS.rglob("*.md") if page not in {*linked, index}] == []


def test_every_page_is_in_the_sites_navigation() -> None:
    module = ast.parse((DOCS / "conf.py").read_text())
    [table] = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAVIGATION"
    ]
    listed = [page for pages in ast.literal_eval(table).values() for page in pages]
    pages = [str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")]
    assert sorted([*listed, "index"]) == sorted(pages)


def test_files_that_the_pages_name_are_there() -> None:
    for page in PAGES:
        roots = (ROOT, ROOT / "tests") if page.name == "faults.md" else (ROOT,)
        # `mysite` is the reader's.
        for path in re.findall(r"`((?!mysite/)(?:\w+/)+\w+\.py)(?:::\w+)?`", page.read_text()):
            assert any((root / path).exists() for root in roots), f"{name(page)} names {path}."


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= WORDS
