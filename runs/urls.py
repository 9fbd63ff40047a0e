"""The API and the chat: `path("agents/", include("runs.urls"))` in a site's patterns, below any prefix."""

from __future__ import annotations

from django.urls import include, path

from runs.api.site import api

urlpatterns = [
    path("", api.urls),
    path("", include("runs.pages.urls")),
]
