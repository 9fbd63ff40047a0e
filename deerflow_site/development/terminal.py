"""Lines for a person: coloured on a terminal, plain elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def has_colours(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour what is written to a stream (NO_COLOR and FORCE_COLOR are heard)."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (stream.isatty() and environ.get("TERM") != "dumb")


#: The width of a table's first column, so that tables below each other are aligned.
NAMES = 6


class Terminal:
    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.colours = has_colours(self.stream)

    def paint(self, text: str, *styles: str) -> str:
        if not self.colours or not text:
            return text
        return f"\x1b[{';'.join(CODES[each] for each in styles)}m{text}\x1b[0m"

    def say(self, text: str = "") -> None:
        print(text, file=self.stream, flush=True)

    def good(self, text: str) -> None:
        self.say(f"{self.paint('✓', 'green')} {text}")

    def note(self, text: str) -> None:
        self.say(f"{self.paint('●', 'cyan')} {text}")

    def bad(self, text: str) -> None:
        first, _, rest = text.partition("\n")
        self.say(f"{self.paint('✗', 'red', 'bold')} {first}" + (f"\n{rest}" if rest else ""))

    def table(self, rows: list[tuple[str, str, str]]) -> None:
        """Rows of a name, a value and a remark; a row without a name continues the one above."""
        values = max((len(value) for _, value, remark in rows if remark), default=0)
        for name, value, remark in rows:
            shown = self.paint(f"{name:<{NAMES}}", "bold")
            rest = f"{value:<{values}}  {self.paint(remark, 'dim')}" if remark else value
            self.say(f"  {shown}  {rest}")
