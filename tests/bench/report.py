"""The table of results."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from tests.bench.client import NAME

HEADS = ("case", "bare", "server", "ratio (from - to)", "goal", "peer", "CPU ms: bare, server, client")
ABOUT = """\
bare    a `graph.astream` loop with the stock saver, in a process of its own; measured in turn with the server
server  `manage.py serve` on loopback, a new thread for each run but the stateless ones
ratio   the median of the rounds' own ratios; goal is what is aimed at
peer    the best comparable durable server's figure, for orientation
CPU     processor time of one run (1000 tokens are one run); the PostgreSQL server's own is in none of them"""


def about_machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "langgraph": version("langgraph"),
        "client": NAME,
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    goal, peer = str(row.get("goal", "")), str(row.get("peer", ""))
    if "ratio" in row:
        low, high = row["ratios"][0], row["ratios"][-1]
        return (
            row["title"],
            _number(row["bare"]),
            f"{_number(row['server'])} {row['unit']}",
            f"{row['ratio']:.2f} ({low:.2f} - {high:.2f})",
            goal,
            peer,
            ", ".join(f"{value:.1f}" for value in row["cpu_ms_per_run"].values()),
        )
    if "shown" in row:
        return row["title"], "", row["shown"], row["note"], goal, peer, ""
    if "p50" in row:
        more = f"p99 {row['p99']:.1f}, max {row['max']:.1f} ms" if "p99" in row else ""
        return row["title"], "", f"p50 {row['p50']:.1f}, p95 {row['p95']:.1f} ms", more, goal, peer, ""
    if "megabytes" in row:
        return row["title"], "", f"{row['seconds']:.1f} s, {row['megabytes']:.0f} MB", "", goal, peer, ""
    return (
        row["title"],
        "",
        f"{_number(row['server'])} {row['unit']}, {row['seconds']:.1f} s",
        "",
        goal,
        peer,
        "",
    )


def print_table(machine: dict[str, Any], results: dict[str, list[dict[str, Any]]]) -> None:
    """Print all databases' rows as one table of equal columns."""
    lines = {database: [_cells(row) for row in rows] for database, rows in results.items()}
    every = [HEADS, *(line for each in lines.values() for line in each)]
    widths = [max(len(line[column]) for line in every) for column in range(len(HEADS))]

    def show(cells: tuple[str, ...]) -> None:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())

    print("\n" + ", ".join(f"{key} {value}" for key, value in machine.items()))
    print(ABOUT + "\n")
    show(HEADS)
    for database, rows in lines.items():
        rounds = sorted({row["rounds"] for row in results[database]})
        print(f"--- {database}, medians of {' or '.join(map(str, rounds))} rounds " + "-" * 40)
        for cells in rows:
            show(cells)
