"""The websocket paths, for `channels.routing.URLRouter`."""

from __future__ import annotations

from typing import Any, cast

from django.urls import URLPattern, re_path

from runs.consumers import ThreadConsumer

websocket_urlpatterns: list[URLPattern] = [
    re_path(r"^threads/(?P<thread_id>[^/]+)/stream/events/?$", cast(Any, ThreadConsumer.as_asgi())),
]
