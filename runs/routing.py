"""The websocket paths, for `channels.routing.URLRouter`."""

from __future__ import annotations

import functools
from typing import Any, cast

from django.urls import URLPattern, re_path


@functools.cache
def _consumer() -> Any:
    # Imported here because it needs the models, and an application can be created before they are loaded.
    from runs.api.routes.consumers import ThreadConsumer

    return ThreadConsumer.as_asgi()


async def thread_socket(scope: Any, receive: Any, send: Any) -> None:
    await _consumer()(scope, receive, send)


websocket_urlpatterns: list[URLPattern] = [
    re_path(r"^threads/(?P<thread_id>[^/]+)/stream/events/?$", cast(Any, thread_socket)),
]
