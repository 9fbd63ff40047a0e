"""A site with a dummy runtime, for `tests.runs.server.dummy_server` or an ASGI server.

It reports its events on stdout. The environment configures it: `START` (see `runtime`), and
`DRAIN`, the seconds of its drain. Its event stream and its websocket last until the drain ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path

CHUNK = b"x" * 65536
state: dict[str, Any] = {"sent": 0, "blocked": False, "requests": 0, "received": 0}
drained = asyncio.Event()


def say(*words: object) -> None:
    print(*words, flush=True)


class Refusal(Exception):
    exit_code = 3


class Runtime:
    def stop_claiming(self) -> None:
        say("stop_claiming")


@asynccontextmanager
async def runtime(*, execute: bool = True, options: Any = None) -> AsyncIterator[Runtime]:
    match os.environ.get("START"):
        case "fails":
            raise RuntimeError("the pool did not open")
        case "refuses":
            raise Refusal("Another process executes runs on this database.")
        case "waits":
            say("waiting")
            await asyncio.Event().wait()
        case "is told to stop":
            os.kill(os.getpid(), signal.SIGTERM)
    say("opened", f"execute={execute}")
    yield Runtime()
    say("draining")
    await asyncio.sleep(float(os.environ.get("DRAIN", "0")))
    drained.set()
    say("drained")


async def answer(send: Any, body: bytes = b"", *, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def measured(sending: Any) -> None:
    """Send, and note whether it took so long that the buffer must have been full."""
    task = asyncio.ensure_future(sending)
    done, _ = await asyncio.wait({task}, timeout=1)
    state["blocked"] = state["blocked"] or not done
    await task


async def stream(receive: Any, send: Any, *, stubborn: bool) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    leaving = asyncio.ensure_future(receive())
    try:
        while stubborn or not drained.is_set():
            await send({"type": "http.response.body", "body": b"data: tick\n\n", "more_body": True})
            if (await asyncio.wait({leaving}, timeout=0.05))[0]:
                say("stream", leaving.result()["type"])
                return
        await send({"type": "http.response.body", "body": b"data: bye\n\n"})
    except asyncio.CancelledError:
        say("stream cancelled")
        raise


async def http(scope: Any, receive: Any, send: Any) -> None:
    state["requests"] += 1
    message = await receive()
    size = len(message["body"])
    while message.get("more_body"):
        message = await receive()
        if message["type"] != "http.request":
            return
        size += len(message["body"])
    match scope["path"].split("/")[1:]:
        case ["stream", *rest]:
            await stream(receive, send, stubborn=bool(rest))
        case ["slow", seconds]:
            say("slow")
            await asyncio.sleep(float(seconds))
            await answer(send, b"done")
        case ["ignore"]:
            say("ignoring")
            threading.Thread(target=time.sleep, args=(60,)).start()
            await answer(send)
        case ["state"]:
            state["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            await answer(send, json.dumps(state).encode())
        case ["flood", megabytes]:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(int(megabytes) * 16):
                state["sent"] += len(CHUNK)
                await measured(send({"type": "http.response.body", "body": CHUNK, "more_body": True}))
            await send({"type": "http.response.body"})
        case ["error"]:
            raise RuntimeError("an error inside the application")
        case _:
            await answer(send, str(size).encode())


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    match scope["path"].split("/")[1:]:
        case ["close", code]:
            await send({"type": "websocket.close", "code": int(code), "reason": "because"})
        case ["flood", megabytes]:
            for _ in range(int(megabytes) * 16):
                state["sent"] += len(CHUNK)
                await measured(send({"type": "websocket.send", "bytes": CHUNK}))
            await send({"type": "websocket.close"})
        case ["large", megabytes]:
            await send({"type": "websocket.send", "bytes": b"x" * (int(megabytes) << 20)})
            await send({"type": "websocket.close"})
        case ["deaf"]:
            await drained.wait()
        case ["busy"]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                say("websocket cancelled")
                raise
    while (message := await receive())["type"] != "websocket.disconnect":
        state["received"] += 1
        await send({"type": "websocket.send", "text": message["text"]})
    say("websocket", message["code"])


async def numbers(count: int) -> AsyncIterator[str]:
    try:
        for number in range(count):
            yield f"{number}\n"
            await asyncio.sleep(0.01)
    except (asyncio.CancelledError, GeneratorExit) as error:
        say("generator", type(error).__name__)
        raise
    finally:
        await asyncio.sleep(0)
        say("generator cleaned up")


async def view(request: HttpRequest, name: str) -> HttpResponse | StreamingHttpResponse:
    match name:
        case "numbers":
            return StreamingHttpResponse(numbers(1_000_000), content_type="text/plain")
        case "wait":
            say("view waits")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                say("view cancelled")
                raise
        case "broken":
            raise RuntimeError("an error inside a view")
        case "half":
            return StreamingHttpResponse(half(), content_type="text/plain")
        case "thread":
            return JsonResponse({"thread": threading.current_thread() is threading.main_thread()})
    return JsonResponse({"path": request.path, "size": len(request.body)})


async def half() -> AsyncIterator[str]:
    yield "half\n"
    raise RuntimeError("an error inside a stream")


urlpatterns = [path("api/<name>", view), re_path("^(?P<name>.*)$", view)]


def application() -> Any:
    from runs.server.application import Site
    from runs.server.handler import LeanHandler
    from runs.server.lifespan import Lifespan

    lifespan = Lifespan(runtime)
    lean = LeanHandler()

    async def site(scope: Any, receive: Any, send: Any) -> None:
        await (lean if scope["path"].startswith("/api/") else http)(scope, receive, send)

    return Site(lifespan, api=site, site=site, websocket=websocket, is_of_api=lambda scope: True)
