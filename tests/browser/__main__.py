"""Commands with a browser against a server of their own.

python -m tests.browser traces            measure the chat page by Chromium's traces (`make traces`)
python -m tests.browser pictures [NAME …] take the pictures of the documentation (`make pictures`)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser.serving import serving
from tests.browser.test_pages import chromium
from tests.clients.control import control, faults
from tests.processes.databases import Template

HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "docs" / "pictures"
COMMANDS = ("traces", "pictures")


def main(name: str, arguments: list[str]) -> int:
    with TemporaryDirectory() as folder:
        cache, own = Path(folder) / "modules", Path(folder) / "site"
        cache.mkdir()
        own.mkdir()
        template = Template(Path(folder), cache)
        try:
            with serving(own, template, cache) as site, control(faults(site)) as address:
                environment = {
                    "SERVER_URL": site.process.url,
                    "CONTROL_URL": address,
                    "CHROMIUM": chromium(),
                    "PICTURES": str(PICTURES),
                    "ONLY": ",".join(arguments),
                }
                script = ["node", "--test-reporter=spec", "--no-warnings", f"{name}.mjs"]
                return subprocess.run(script, cwd=HERE, env={**os.environ, **environment}).returncode
        finally:
            template.drop()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
