"""The permissions of the admin's pages, and the refusal of a page."""

from __future__ import annotations

from django.http import HttpResponse

from threads.admin.base import READ_PAYLOADS

#: To read what people and graphs wrote; to act on runs, queues, workers, crons and webhooks.
READ, OPERATE = READ_PAYLOADS, "runs.operate_run"
VIEW_THREADS, DELETE_THREADS = "threads.view_thread", "threads.delete_thread"


def refused(permission: str) -> HttpResponse:
    return HttpResponse(f"You need the permission {permission}.", status=403, content_type="text/plain")
