"""The admin's page that makes a copy of another site's run from its exported file, to look at it here."""

from __future__ import annotations

from io import TextIOWrapper
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.files.uploadedfile import UploadedFile
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse

from runs.admin.rights import OPERATE, READ, missing, refused
from runs.admin.run_page.facts import page
from runs.conf import settings
from runs.exceptions import InvalidRequest
from runs.lifecycle.operators.operations import Operator
from runs.lifecycle.operators.transfers import imported
from runs.models import Run

NEEDED = ("runs.view_run", READ, OPERATE)
#: The most bytes of a file; a site's limit of bodies may be lower.
MOST = 64 * 1024 * 1024


def site_of(wrap: Any) -> AdminSite:
    """The site whose `admin_view` this is."""
    return wrap.__self__  # type: ignore[no-any-return]


def import_page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """A form for a file; the person who sends it gets the copy, and is on its record."""
    if needed := missing(request, *NEEDED):
        return refused(needed)
    if request.method not in ("GET", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    why, status = "", 200
    if request.method == "POST":
        try:
            return _shown(request, _imported(request))
        except InvalidRequest as error:
            why, status = str(error), 400
        except DatabaseError as error:
            why, status = f"The database cannot take the file now: {str(error).partition(chr(10))[0]}", 503
    context = {
        **site.each_context(request),
        "title": "Import a run",
        "opts": Run._meta,
        "why": why,
        "most": most() // 2**20,
    }
    return TemplateResponse(request, "admin/runs/run/import.html", context, status=status)


def most() -> int:
    """The most bytes of a file here."""
    return min(MOST, settings.SITE_BODY_LIMIT or MOST)


def _imported(request: HttpRequest) -> Run:
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise InvalidRequest("Choose a file first.")
    if (file.size or 0) > MOST:
        raise InvalidRequest(f"The file has more than {MOST // 2**20} MB; use manage.py agents runs import.")
    user: Any = request.user
    lines = TextIOWrapper(file, encoding="utf-8")  # type: ignore[arg-type]
    try:
        return imported(lines, user_id=user.pk, by=Operator(str(user), "admin", user.pk))
    finally:
        # Else the wrapper would close the file, which Django does.
        lines.detach()


def _shown(request: HttpRequest, run: Run) -> HttpResponse:
    user: Any = request.user
    row: Any = [run]
    LogEntry.objects.log_actions(user.pk, row, ADDITION, "Imported from a file.")
    messages.success(request, "This is a copy of the run in the file. Nothing executes it.")
    return HttpResponseRedirect(page("run", run.id))
