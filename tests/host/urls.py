from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.urls import include, path

from tests.host.shop import api, views

urlpatterns = [
    path("store/", views.store),
    path("store/sold-out/", views.sold_out),
    path("threads/", views.threads),
    # It waits for runs, which would never begin within a transaction.
    path("assistants/", transaction.non_atomic_requests(api.Assistants.as_view())),
    path("runs/wait", views.upload),
    path("sign-in/", LoginView.as_view(template_name="admin/login.html")),
    path("backoffice/", admin.site.urls),
    path("agents/", include("runs.urls")),
]
