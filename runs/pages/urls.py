"""The paths of the chat, to be included at the site's root or below any prefix."""

from __future__ import annotations

from django.urls import path

from runs.pages import views

app_name = "runs_pages"

urlpatterns = [
    path("chat/", views.chat, name="chat"),
    path("chat/<uuid:thread_id>/", views.chat, name="thread"),
    path("chat/<uuid:thread_id>/plain/", views.plain, name="plain"),
    path("chat/<uuid:thread_id>/position/", views.position, name="position"),
    path("chat/<uuid:thread_id>/runs/", views.runs, name="runs"),
]
