"""A receiver of webhooks: it records requests, and answers as the test configures it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

#: The settings of a site whose webhooks may reach a receiver.
ALLOWED: dict[str, Any] = {"WEBHOOK_SCHEMES": ["http"], "WEBHOOK_NETWORKS": ["127.0.0.0/8"]}


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = orjson.loads(self.body)
        return decoded

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    port: int
    received: list[Received] = field(default_factory=list)
    #: Status codes of the next answers; then 200.
    answers: list[int] = field(default_factory=list)
    #: Answers wait until this is set.
    open: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=1"


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.received.append(Received(self.path, headers, body))
        answer = receiver.answers.pop(0) if receiver.answers else 200
        receiver.open.wait(30)
        self.send_response(answer)
        for name, value in receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore senders that closed the connection."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    with QuietServer(("127.0.0.1", 0), Handler) as server:
        server.receiver = Receiver(server.server_port)
        server.receiver.open.set()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.receiver
        finally:
            server.receiver.open.set()
            server.shutdown()
            thread.join()
