"""The paths of the pages to log in and out, for a site that has none of its own."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import views as auth
from django.urls import URLPattern, path, reverse_lazy
from django.views import View

from runs.pages.content_policy import content_security

app_name = "runs_accounts"


def _page(route: str, view: type[View[Any]], name: str, **options: Any) -> URLPattern:
    return path(route, content_security(view.as_view(**options)), name=name)


urlpatterns = [
    _page(
        "login/",
        auth.LoginView,
        "login",
        template_name="runs/login.html",
        next_page=reverse_lazy("runs_pages:chat"),
    ),
    _page("logout/", auth.LogoutView, "logout", next_page=reverse_lazy("runs_accounts:login")),
    _page(
        "password/",
        auth.PasswordChangeView,
        "password",
        template_name="runs/password.html",
        success_url=reverse_lazy("runs_accounts:password_changed"),
    ),
    _page(
        "password/changed/",
        auth.PasswordChangeDoneView,
        "password_changed",
        template_name="runs/password_changed.html",
    ),
]
