"""Play the incidents: see the package."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import tests.incidents
from tests.incidents.playing import PICTURES, play
from tests.incidents.stage import staged
from tests.incidents.stories import STORIES
from tests.processes.databases import Template


def main(names: list[str]) -> int:
    if unknown := set(names) - set(STORIES):
        sys.exit(
            f"{tests.incidents.__doc__}\nThere is no incident {min(unknown)}. There are: {', '.join(STORIES)}."
        )
    failed = 0
    with TemporaryDirectory() as folder:
        cache = Path(folder) / "modules"
        cache.mkdir()
        template = Template(Path(folder), cache)
        try:
            for name in names or STORIES:
                began = time.monotonic()
                try:
                    own = Path(folder) / name
                    own.mkdir()
                    with staged(own, template, cache) as stage:
                        told = f"{play(name, stage, pictures=str(PICTURES))} clicks"
                except AssertionError as error:
                    told, failed = f"FAILED: {error}", failed + 1
                print(f"{name:24} {told}, {time.monotonic() - began:.1f} s", flush=True)
        finally:
            template.drop()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
