"""The site's paths: the admin at /admin/, and the API at the root, where its clients expect it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path, re_path

from runs.api.site import api, not_found

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", api.urls),
    # The admin without its slash is left to Django, which redirects.
    re_path(r"^(?!admin$)", not_found),
]
