"""The health endpoint of a worker that does not serve the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from runs.encoding import encode
from runs.process.current import current
from runs.worker.manager import RunManager

#: How long a client may take to send its request, in seconds.
PATIENCE = 5.0

#: Whether the process is healthy, and the body of the response.
Report = Callable[[], tuple[bool, dict[str, Any]]]


def worker_health(manager: RunManager) -> tuple[bool, dict[str, Any]]:
    """Whether a worker takes runs: 200 while it does, 503 once it drains or its lease is not
    trusted.
    """
    reason = "draining" if manager.draining else None if manager.lease.trusted else "the lease has run out"
    queues = manager.options.queues
    return reason is None, {
        "ok": reason is None,
        "reason": reason,
        "worker_id": str(manager.worker_id),
        "running": len(manager.active),
        "concurrency": manager.concurrency,
        "queues": sorted(queues) if queues is not None else None,
        "listening": manager.wakeups.connected,
        "abandoned_threads": current().nodes.abandoned,
    }


@asynccontextmanager
async def health_endpoint(report: Report, *, host: str, port: int) -> AsyncIterator[int]:
    """Answer `GET /ok`; yields the port, which the system chose if `port` is 0. Raises OSError."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, report))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, host, port, limit=16 * 1024)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _response(head: bytes, report: Report) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if path not in (b"/", b"/ok"):
        status, body = HTTPStatus.NOT_FOUND, {"detail": "There is only /ok here."}
    elif method not in (b"GET", b"HEAD"):
        status, body = HTTPStatus.METHOD_NOT_ALLOWED, {"detail": "Use GET."}
    else:
        well, body = report()
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    content = encode(body).encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (b"" if method == b"HEAD" else content)
