"""The paths of the pages to log in and out, for a site that has none of its own."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

app_name = "runs_accounts"

urlpatterns = [
    path(
        "login/",
        auth.LoginView.as_view(template_name="runs/login.html", next_page=reverse_lazy("runs_pages:chat")),
        name="login",
    ),
    path("logout/", auth.LogoutView.as_view(next_page=reverse_lazy("runs_accounts:login")), name="logout"),
    path(
        "password/",
        auth.PasswordChangeView.as_view(
            template_name="runs/password.html", success_url=reverse_lazy("runs_accounts:password_changed")
        ),
        name="password",
    ),
    path(
        "password/changed/",
        auth.PasswordChangeDoneView.as_view(template_name="runs/password_changed.html"),
        name="password_changed",
    ),
]
