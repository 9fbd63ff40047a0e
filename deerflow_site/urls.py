"""The site's paths: the admin at /admin/, the chat at /chat/, and the API at the root."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.contenttypes.views import shortcut
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path, re_path

from runs.api.site import not_found
from runs.identity.logins import LimitedLoginForm

admin.site.site_header = admin.site.site_title = "Runs"
admin.site.index_title = "Runs, threads and workers"
admin.site.login_form = LimitedLoginForm


def _view_on_site(request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponseBase:
    """The admin's "view on site". An invalid id gives a 404 instead of an error."""
    try:
        return shortcut(request, content_type_id, object_id)
    except (ValidationError, ValueError, OverflowError):
        raise Http404 from None


urlpatterns = [
    path("admin/r/<path:content_type_id>/<path:object_id>/", admin.site.admin_view(_view_on_site)),
    path("admin/", admin.site.urls),
    path("", include("runs.urls")),
    path("", include("runs.pages.accounts")),
    # "/admin" without a slash is excluded, because Django redirects it, and static files, because a middleware serves them.
    re_path(r"^(?!admin$|static/)", not_found),
]
