"""What the commands print: results on stdout, progress on stderr.

A table has colours and lines on a terminal, and aligned columns elsewhere. `--json` prints one
object instead, with the version of its form.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.core.management.base import OutputWrapper

from threads.db import clock
from threads.display import EMPTY, seconds

#: The version of the JSON that `--json` prints.
SCHEMA = 1
#: The colours of states, on a terminal.
COLOURS = {
    "success": "green", "running": "cyan", "alive": "green", "ok": "green", "idle": "green", "yes": "green",
    "pending": "yellow", "busy": "cyan", "waiting": "magenta", "draining": "yellow", "paused": "yellow",
    "error": "red", "timeout": "red", "failed": "red", "killed": "red", "none": "red", "no": "red",
    "interrupted": "magenta", "cancelled": "dim", "stopped": "dim", "warning": "yellow",
}  # fmt: skip


class Column(NamedTuple):
    """A column of a table: its title, and the key of its rows."""

    title: str
    key: str
    #: Whether the cell is a state, which has a colour.
    state: bool = False
    #: Whether the cell may be broken into several lines on a terminal.
    breaks: bool = False
    right: bool = False


class Output:
    """The two streams of one command."""

    def __init__(self, stdout: OutputWrapper, stderr: OutputWrapper, *, as_json: bool) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.as_json = as_json

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin.isatty() and self.stderr.isatty()

    def object(self, **values: Any) -> None:
        """Print the result as one JSON object."""
        self.stdout.write(json.dumps({"schema": SCHEMA, **values}, ensure_ascii=False, default=plain))

    def line(self, text: str = "") -> None:
        """Print a line of the result."""
        self.stdout.write(text)

    def say(self, text: str) -> None:
        """Report progress, which is no part of the result."""
        if self.stderr.isatty():
            self.console(self.stderr).print(text, style="dim", markup=False, highlight=False)
        else:
            self.stderr.write(text)

    def table(
        self, name: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, empty: str
    ) -> None:
        """Print rows, as a table or, with `--json`, as the list `name`.

        Args:
            empty: What to report if there are none.
        """
        if self.as_json:
            self.object(**{name: [dict(row) for row in rows]})
        elif not rows:
            self.say(empty)
        elif self.stdout.isatty():
            self._rich(columns, rows)
        else:
            self._plain(columns, rows)

    def fields(self, title: str, values: Mapping[str, Any]) -> None:
        """Print one thing's facts, a line each; empty ones are left out."""
        shown = {name: cell(value) for name, value in values.items() if value not in (None, "", [], {})}
        width = max(map(len, shown), default=0)
        if not self.stdout.isatty():
            self.line(title)
            for name, text in shown.items():
                self.line(f"  {name:<{width}}  {text}")
            return
        from rich.table import Table  # Not above: most commands do not write to a terminal.

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in shown.items():
            grid.add_row(name, _styled(text, state=name in ("status", "state")))
        console = self.console(self.stdout)
        console.print(title, style="bold", markup=False, highlight=False)
        console.print(grid)

    def console(self, stream: OutputWrapper) -> Any:
        """A terminal's console."""
        from rich.console import Console  # Not above: most commands do not write to a terminal.

        out: Any = stream
        return Console(file=getattr(out, "_out", out), highlight=False, soft_wrap=False)

    def _plain(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        cells = [[column.title.upper() for column in columns]]
        cells += [[one_line(cell(row.get(column.key))) for column in columns] for row in rows]
        widths = [max(map(len, each)) for each in zip(*cells, strict=True)]
        for line in cells:
            parts = [
                text.rjust(width) if column.right else text.ljust(width)
                for text, width, column in zip(line, widths, columns, strict=True)
            ]
            self.line("  ".join(parts).rstrip())

    def _rich(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        from rich.box import SIMPLE_HEAD  # Not above: most commands do not write to a terminal.
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
        for column in columns:
            table.add_column(
                column.title,
                no_wrap=not column.breaks,
                overflow="fold" if column.breaks else "ellipsis",
                justify="right" if column.right else "left",
            )
        for row in rows:
            table.add_row(*(_styled(one_line(cell(row.get(c.key))), state=c.state) for c in columns))
        self.console(self.stdout).print(table)


def _styled(text: str, *, state: bool) -> Any:
    from rich.text import Text  # Not above: most commands do not write to a terminal.

    return Text(text, style=COLOURS.get(text.split(" ", maxsplit=1)[0], "") if state else "")


def cell(value: Any) -> str:
    """A value as a person reads it."""
    match value:
        case None | "":
            return EMPTY
        case bool():
            return "yes" if value else "no"
        case datetime():
            passed = (clock.now() - value).total_seconds()
            return f"{seconds(passed)} ago" if passed >= 0 else f"in {seconds(-passed)}"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=plain)
    return str(value)


def one_line(text: str) -> str:
    return " ".join(text.split())


def plain(value: Any) -> Any:
    """A value that JSON does not have."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def fitting(text: str, *, width: int) -> str:
    """The beginning of a text, on one line."""
    text = text.replace("\n", " ")
    return text if len(text) <= width else f"{text[: width - 1]}…"


def terminal_width() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 120
