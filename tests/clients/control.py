"""Runs Node scripts against a server under test.

This process injects the server's faults for them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.processes.harness import Process, Site
from tests.support.requirements import require

#: The output format of Node's test runner, and the websocket, which Node has only since version 22.
NODE_OPTIONS = ("--test-reporter=spec", "--experimental-websocket", "--no-warnings")

#: What each returns, if it is text, is the answer to the script.
Faults = dict[str, Callable[..., object]]


def faults(site: Site) -> Faults:
    """The faults that a script may inject into its server, by name."""

    def newest(act: Callable[[Process], object]) -> Callable[[], object]:
        """Apply it to the process that runs at the time of the call."""
        return lambda: act(site.process)

    return {
        "kill": newest(Process.kill),
        "stop": newest(Process.stop),
        "start": site.start,
    }


@contextmanager
def control(known: Faults) -> Iterator[str]:
    """Serve `POST /NAME`, which injects the named fault, with the body's text if there is one; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                told = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                result = known[self.path[1:]](*filter(None, [told]))
                status, answer = 200, result.encode() if isinstance(result, str) else b"done"
            except Exception as error:
                status, answer = 500, repr(error).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def no_packages(folder: Path) -> str | None:
    """The reason why a folder's scripts cannot run, or None."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (folder / "node_modules").is_dir():
        return f"the packages of {folder.parent.name}/{folder.name} are not installed: npm ci in that folder"
    return None


def run_script(
    script: Path,
    site: Site,
    *,
    timeout: float = 60,
    more: Faults | None = None,
    only: str | None = None,
    **environment: str,
) -> str:
    """Run the tests of a script with Node's own test runner against a site's server; they must pass.

    Args:
        more: Faults in addition to the server's.
        only: A pattern of the names of the tests to run; all by default.

    Returns:
        What it printed.
    """
    require(no_packages(script.parent))
    chosen = () if only is None else ("--test-name-pattern", only)
    with control({**faults(site), **(more or {})}) as address:
        done = subprocess.run(
            # The last resort: keep the script's output so far.
            ["timeout", str(timeout), "node", *NODE_OPTIONS, *chosen, script.name],
            cwd=script.parent,
            env={
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                "SERVER_URL": site.process.url,
                "CONTROL_URL": address,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert done.returncode == 0, f"{script.name} failed:\n{failures(done.stdout)}"
    return done.stdout


def failures(output: str) -> str:
    """The failing tests in Node's output, without stack lines of third-party modules."""
    told = output.rpartition("failing tests:")[2]  # all of it, if the script did not end
    lines = [line for line in told.splitlines() if "node_modules" not in line and "node:internal" not in line]
    return "\n".join(lines)[-6000:]
