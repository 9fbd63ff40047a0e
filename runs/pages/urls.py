"""The paths of the pages for people, to be included at the site's root or below any prefix."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from runs.pages import views

app_name = "pages"

urlpatterns = [
    path("chat/", views.chat, name="chat"),
    path("chat/<uuid:thread_id>/", views.chat, name="thread"),
    path("chat/<uuid:thread_id>/plain/", views.plain, name="plain"),
    path("chat/<uuid:thread_id>/position/", views.position, name="position"),
    path("chat/<uuid:thread_id>/runs/", views.runs, name="runs"),
    path(
        "login/",
        auth.LoginView.as_view(template_name="runs/login.html", next_page=reverse_lazy("pages:chat")),
        name="login",
    ),
    path("logout/", auth.LogoutView.as_view(next_page=reverse_lazy("pages:login")), name="logout"),
    path(
        "password/",
        auth.PasswordChangeView.as_view(
            template_name="runs/password.html", success_url=reverse_lazy("pages:password_changed")
        ),
        name="password",
    ),
    path(
        "password/changed/",
        auth.PasswordChangeDoneView.as_view(template_name="runs/password_changed.html"),
        name="password_changed",
    ),
]
