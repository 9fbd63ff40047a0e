"""An environment into which the wheel was installed, apart from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = (
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "DJANGO_SETTINGS_MODULE",
    "LANGGRAPH_JSON",
    "DATA_DIR",
    "DATABASE_URL",
    "SECRET_KEY",
)


def uv() -> str:
    """The path of uv: this machine's, or the one that `make` has installed."""
    common = subprocess.run(
        ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.strip()
    checkout = Path(common).parent if common else ROOT
    for path in (os.environ.get("UV"), shutil.which("uv"), ROOT / ".uv/bin/uv", checkout / ".uv/bin/uv"):
        if path and Path(path).is_file():
            return str(path)
    raise LookupError("uv is not installed; `make install` installs it")


class Environment:
    """A virtual environment with this package from its wheel, and other packages, made in a folder once."""

    def __init__(self, folder: Path, *packages: str) -> None:
        self.folder = folder / "venv"
        self.bin = self.folder / "bin"
        self.env = {name: value for name, value in os.environ.items() if name not in OWN}
        self.env |= {"UV_SYSTEM_CERTS": "1", "PATH": f"{self.bin}:{os.environ['PATH']}"}
        done = folder / "done"
        if not done.exists():
            self._make(folder, packages)
            done.touch()
        [self.wheel] = (folder / "dist").glob("*.whl")

    def _make(self, folder: Path, packages: Sequence[str]) -> None:
        self._run(uv(), "build", "--quiet", "--out-dir", str(folder / "dist"), str(ROOT))
        [wheel] = (folder / "dist").glob("*.whl")
        self._run(uv(), "venv", "--quiet", "--python", sys.executable, str(self.folder))
        # The versions of the lock, which the rest of the suite tests too.
        locked = self._run(
            uv(), "export", "--frozen", "--quiet", "--no-hashes", "--no-emit-project", cwd=ROOT
        )
        (folder / "constraints.txt").write_text(locked)
        self._run(
            uv(), "pip", "install", "--quiet", "--python", str(self.bin / "python"),
            "--constraint", str(folder / "constraints.txt"), str(wheel), *packages,
        )  # fmt: skip

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(command, cwd=cwd, env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(self, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """Execute one of the environment's programs in a folder."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=folder, env=self.env, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    @property
    def deerflow(self) -> Sequence[str]:
        return (str(self.bin / "deerflow"),)
