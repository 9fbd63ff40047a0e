from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

from tests.host.shop import api, views

urlpatterns = [
    path("store/", views.store),
    path("threads/", views.threads),
    path("assistants/", api.Assistants.as_view()),
    path("runs/wait", views.upload),
    path("sign-in/", LoginView.as_view(template_name="admin/login.html")),
    path("backoffice/", admin.site.urls),
    path("agents/", include("runs.urls")),
]
