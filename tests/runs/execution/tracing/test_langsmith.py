"""LangSmith by LangGraph Server's variables, in a real process beside a dead Langfuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import free_port

ROOT = Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.sqlite


@pytest.fixture
def requests() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that records what it is sent."""
    found: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            batches = {
                "use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 20_000_000,
                "scale_up_nthreads_limit": 1, "scale_up_qsize_trigger": 1000,
            }  # fmt: skip
            self._answer(json.dumps({"version": "0.10.0", "batch_ingest_config": batches}).encode())

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.append((self.path, body))
            self._answer(b"{}")

        def do_PATCH(self) -> None:
            self.do_POST()

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Not to stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", found
    server.shutdown()
    server.server_close()


def test_langsmith_is_sent_the_run_and_a_dead_langfuse_does_not_hold_up_the_exit(
    tmp_path: Path, requests: tuple[str, list[tuple[str, bytes]]]
) -> None:
    url, found = requests
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LANG", "DATABASE_URL"))
    }
    variables = {
        **kept, "DATA_DIR": str(tmp_path), "DEMO_DELAY": "0", "DJANGO_SETTINGS_MODULE": "deerflow_site.settings",
        "LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": url, "LANGSMITH_API_KEY": "lsv2-sesame",
        "LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk",
        "LANGFUSE_BASE_URL": f"http://127.0.0.1:{free_port()}",
    }  # fmt: skip
    for arguments in (["migrate", "-v0"], ["agents", "chat", "--once", "hi"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            timeout=110,
        )
    assert done.stdout.strip(), done.stderr
    assert "could not be sent to Langfuse" in done.stderr or "Failed to export" in done.stderr
    assert {path for path, _ in found} & {"/runs/multipart", "/runs/batch"}, [path for path, _ in found]
