"""A receiver of Langfuse's spans on loopback, which can be slow or refuse."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Received:
    """What the server was sent, and how it behaves."""

    url: str = ""
    spans: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    #: How long an answer takes, in seconds; and its status.
    delay: float = 0.0
    status: int = 200

    def traces(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for span in self.spans:
            found.setdefault(span["trace_id"], []).append(span)
        return found


@contextmanager
def receiving() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            time.sleep(received.delay)
            received.paths.append(self.path)
            received.authorizations.add(self.headers.get("Authorization", ""))
            if received.status == 200:
                request = ExportTraceServiceRequest()
                request.ParseFromString(body)
                received.spans += list(_spans(request))
            try:
                self.send_response(received.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:  # the client has given up
                return

        def log_message(self, *arguments: Any) -> None:
            """Not to stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    received.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[dict[str, Any]]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "trace_id": span.trace_id.hex(),
                    "name": span.name,
                    "parent": span.parent_span_id.hex(),
                    "id": span.span_id.hex(),
                    "resource": {each.key: _value(each.value) for each in resource.resource.attributes},
                    **{each.key: _value(each.value) for each in span.attributes},
                }


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None
