"""Where the server's time goes: py-spy's samples of all its threads, or cProfile's record of its event loop."""

from __future__ import annotations

import asyncio
import pstats
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

TOP = 40
LINE = re.compile(r"(?P<function>.+) \((?P<file>[^()]*?)(?::\d+)?\)")
OWN = ("runs/", "threads/", "deerflow_site/")


def sampler() -> str | None:
    """py-spy's path, if it is installed."""
    return shutil.which("py-spy")


async def sample(pid: int, seconds: float, file: Path) -> None:
    """Sample a process for some seconds into py-spy's `raw` format."""
    process = await asyncio.create_subprocess_exec(
        str(sampler()), "record", "--pid", str(pid), "--duration", str(int(seconds)), "--rate", "250",
        "--format", "raw", "--threads", "--gil", "--output", str(file),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"py-spy failed: {errors.decode()}")


def clean(frame: str) -> str:
    found = LINE.fullmatch(frame)
    return f"{found['function']} ({found['file']})" if found else frame


def package(frame: str) -> str:
    file = frame.rpartition("(")[2].rstrip(")")
    return f"{file.partition('/')[0]}/" if "/" in file else file


def thread_kind(frame: str) -> str:
    return re.sub(r"\d+|\(.*?\)|0x\w+", "", frame.partition(":")[2] or frame).strip(' "-')


def print_samples(file: Path) -> None:
    """Print a py-spy record by thread, by package and by function."""
    threads: Counter[str] = Counter()
    own: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        first, *frames = stack.split(";")
        frames, count = [clean(frame) for frame in frames] or [first], int(number)
        threads[thread_kind(first)] += count
        own[frames[-1]] += count
        packages[package(frames[-1])] += count
        for frame in set(frames):
            inside[frame] += count
    total = sum(own.values()) or 1
    product = Counter(
        {frame: count for frame, count in inside.items() if frame.rpartition("(")[2].startswith(OWN)}
    )
    for title, counter in (
        ("by thread", threads),
        ("by package, innermost frame", packages),
        ("by function, own time", own),
        ("by function, with what it calls", inside),
        ("by function of this project, with what it calls", product),
    ):
        print(f"\n{title}, of {total} samples:")
        for name, count in counter.most_common(TOP):
            print(f"{count / total:7.1%}  {name}")


def print_record(file: Path) -> None:
    """Print a cProfile record; it includes the server's start, and only the event loop's thread."""
    for order in ("cumulative", "tottime"):
        pstats.Stats(str(file), stream=sys.stdout).sort_stats(order).print_stats(TOP)
