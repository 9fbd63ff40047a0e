"""The websocket paths, for `channels.routing.URLRouter`."""

from __future__ import annotations

from django.urls import URLPattern

websocket_urlpatterns: list[URLPattern] = []
