"""Sphinx builds the pages of this folder as a site: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pygments.lexers.javascript import JavascriptLexer  # type: ignore[import-untyped]

project = "deerflow"
author = "the deerflow authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["site"]
#: Anchors as GitHub makes them, so that links work in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = "deerflow"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_extra_path = ["openapi.json"]
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

#: The site's navigation. On GitHub, the table of index.md leads to every page.
NAVIGATION = {
    "Begin": ["quickstart", "topics/langgraph_project", "topics/django_site"],
    "How to": [
        "operations", "topics/incidents", "topics/admin", "topics/run_page", "reference/commands", "topics/identity", "topics/sharing", "topics/scaling",
        "topics/chat", "topics/store", "topics/crons-and-webhooks", "topics/tracing",
    ],
    "Reference": [
        "configuration", "reference/python_api", "reference/protocol", "reference/idempotency",
        "reference/compatibility", "reference/comparison",
    ],
    "How it works": ["architecture", "reference/faults", "reference/upstream", "reference/benchmarks"],
}  # fmt: skip

#: A link in Markdown: its text, and the file that it leads to.
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def setup(app: Any) -> None:
    app.add_lexer("jsonc", JavascriptLexer)
    app.connect("source-read", keep_inside)


def keep_inside(app: Any, docname: str, source: list[str]) -> None:
    """Show a link to a file that is not on the site, such as a module, as its text alone."""
    folder = (Path(app.srcdir) / docname).parent

    def kept(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        on_site = target.suffix == ".md" and target.is_relative_to(app.srcdir)
        if found[2].endswith("openapi.json"):
            return f"`{found[1]}`" if "`" not in found[1] else found[1]
        return found[0] if on_site else found[1]

    source[0] = LINK.sub(kept, source[0])
    if docname == root_doc:
        for caption, pages in NAVIGATION.items():
            listed = "\n".join(pages)
            source[0] += f"\n:::{{toctree}}\n:caption: {caption}\n:hidden:\n{listed}\n:::\n"
