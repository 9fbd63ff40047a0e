"""The JavaScript modules of a page, for the browser to request all of them at once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path, PurePosixPath

STATIC = Path(__file__).parents[1] / "static"
#: A static import at the beginning of a line; the path is relative.
IMPORT = re.compile(r"""^import (?:[^;]*? from )?["'](\.[^"']+)["']""", re.MULTILINE)


@cache
def modules_of(script: str) -> tuple[str, ...]:
    """The modules that a script imports, directly or not, as names of static files.

    Without these names in the page, a browser requests a module only after those that import it.
    """
    found: list[str] = []
    waiting = [PurePosixPath(script)]
    while waiting:
        module = waiting.pop()
        for target in IMPORT.findall((STATIC / module).read_text()):
            name = PurePosixPath((STATIC / module.parent / target).resolve().relative_to(STATIC).as_posix())
            if str(name) not in (*found, script):
                found.append(str(name))
                waiting.append(name)
    return tuple(sorted(found))
