"""A development server under test: this project's, or LangGraph's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.processes.harness import eventually, free_port

OURS = (sys.executable, "-m", "deerflow_site")
ROOT = Path(__file__).resolve().parents[2]
OWN = (
    "LANGGRAPH_JSON",
    "DATA_DIR",
    "DJANGO_SETTINGS_MODULE",
    "DATABASE_URL",
    "SECRET_KEY",
    "PYTHONDONTWRITEBYTECODE",
)


class Dev:
    """A process in a project's folder, as a context manager."""

    def __init__(self, folder: Path, *command: str, options: Sequence[str] = (), **env: str) -> None:
        self.folder, self.port = folder, free_port()
        self.command = [*(command or OURS), "dev", "--port", str(self.port), *options]
        kept = {name: value for name, value in os.environ.items() if name not in OWN}
        self.env = {**kept, **({} if command else {"PYTHONPATH": str(ROOT)}), **env}
        self.log = folder.parent / f"{folder.name}.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=120)

    def __enter__(self) -> Dev:
        self.began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, text: str, *, timeout: float = 120) -> None:
        """Wait until the output has a text."""
        eventually(
            lambda: text in self.output or self.ended, timeout=timeout, what=f"{text!r} in\n{self.output}"
        )
        assert text in self.output, self.output

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def ready(self, *, timeout: float = 240) -> float:
        """Wait until it serves; return the seconds since its start."""
        eventually(lambda: self.ended or self.get("/ok") is not None, timeout=timeout, what=self.output)
        assert not self.ended, self.output
        return time.monotonic() - self.began

    def get(self, path: str) -> str | None:
        """The text of an answer; None if there is none, or it is not 200."""
        try:
            with httpx.Client(trust_env=False, timeout=10) as client:
                answer = client.get(self.url + path)
        except httpx.TransportError:
            return None
        return answer.text if answer.status_code == 200 else None

    def serves(self, version: int, *, since: float, timeout: float = 240) -> float:
        """Wait until it serves a version of the project; return the seconds since then."""
        eventually(
            lambda: self.get("/version") == str(version),
            timeout=timeout,
            what=f"version {version}\n{self.output}",
        )
        return time.monotonic() - since

    # --- runs

    def start(self) -> dict[str, Any]:
        thread = self.http.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "agent", "input": {"log": []}}
        run: dict[str, Any] = self.http.post(f"/threads/{thread}/runs", json=body).json()
        return run

    def end(self, run: dict[str, Any], *, timeout: float = 120) -> dict[str, Any]:
        """Wait for a run's end; return its row."""
        path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"

        def ended() -> Any:
            try:
                row = self.http.get(path).json()
            except httpx.TransportError:
                return None
            return row if row["status"] not in ("pending", "running") else None

        row: dict[str, Any] = eventually(ended, timeout=timeout, what=f"the run ends\n{self.output}")
        return row

    def values(self, run: dict[str, Any]) -> Any:
        return self.http.get(f"/threads/{run['thread_id']}/state").json()["values"]
