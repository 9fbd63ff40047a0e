"""Fetch the third-party files of the pages again, by `npm pack`: `python -m tests.browser.vendor`.

`versions.json` beside the files has their packages, versions, licences and checksums: npm's
checksum of the package, and one of each stored file. To update a package, change its version there
first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "runs" / "static" / "runs" / "vendor"
VERSIONS = FOLDER / "versions.json"


def main() -> None:
    packages = json.loads(VERSIONS.read_text())
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            fetch(package, Path(folder))
    VERSIONS.write_text(json.dumps(packages, indent=2) + "\n")


def fetch(package: dict[str, Any], folder: Path) -> None:
    """Store a package's files and their checksums."""
    name = f"{package['name']}@{package['version']}"
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), name]
    archive = folder / subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    digest = hashlib.sha512(archive.read_bytes()).digest()
    package["integrity"] = f"sha512-{base64.b64encode(digest).decode()}"
    with tarfile.open(archive) as members:
        for name, file in package["files"].items():
            member = members.extractfile(f"package/{file['from']}")
            assert member is not None
            content = without_map(member.read())
            target = FOLDER / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            file["sha256"] = hashlib.sha256(content).hexdigest()


def without_map(content: bytes) -> bytes:
    """Remove the reference to a source map, because the map is not stored."""
    lines = [
        line for line in content.splitlines(keepends=True) if not line.startswith(b"//# sourceMappingURL=")
    ]
    return b"".join(lines)


if __name__ == "__main__":
    main()
