"""The admin's page that imports a run from a file."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError

from runs.admin.run_page import importing
from runs.lifecycle.operators.transfers import exported
from runs.models import Run, RunAction
from tests.support.admin_site import page, sign_in, staff
from tests.support.rows import make_events, make_run

ADDRESS = "/admin/runs/run/import/"

pytestmark = pytest.mark.django_db


def send(client: Any, content: bytes) -> Any:
    return client.post(ADDRESS, {"file": SimpleUploadedFile("run.jsonl", content)})


def test_a_run_that_the_page_exported_is_copied_and_read_here() -> None:
    client = sign_in(is_superuser=True)
    run = make_run("error", error={"error": "KeyError", "message": "'x'"})
    make_events(run, 3)
    file = client.get(f"/admin/runs/run/{run.pk}/page/export/").content
    assert file.count(b"\n") == len(list(exported(run)))
    run.thread.delete()
    response = send(client, file)
    assert response.status_code == 302
    copy = Run.objects.get()
    assert response["location"] == page(copy)
    assert str(copy.user_id) == client.session["_auth_user_id"]
    facts = client.get(f"/admin/runs/run/{copy.pk}/page/facts/").json()
    assert facts["imported"]
    assert facts["import"] == ADDRESS
    assert facts["actions"]["retry"] == "it is a copy from a file, without checkpoints"
    record = RunAction.objects.get(run=copy, kind="import")
    assert (record.who, record.origin) == (str(copy.user), "admin")
    assert LogEntry.objects.get(object_id=str(copy.pk)).change_message == "Imported from a file."


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not begin with a line of the type"),
        (b"\xff\xfe", "UnicodeDecodeError"),
        (b"{}\n", "does not begin with a line of the type"),
        (b"no json", "Line 1 is not JSON"),
    ],
)
def test_another_file_is_refused_with_a_sentence(content: bytes, why: str) -> None:
    response = send(sign_in(is_superuser=True), content)
    assert response.status_code == 400
    assert why in response.content.decode()
    assert not Run.objects.exists()


def test_no_file_and_a_large_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    client = sign_in(is_superuser=True)
    assert "Choose a file first." in client.post(ADDRESS).content.decode()
    monkeypatch.setattr(importing, "MOST", 10)
    response = send(client, b"x" * 11)
    assert response.status_code == 400
    assert "use manage.py agents runs import" in response.content.decode()
    assert client.put(ADDRESS).status_code == 405


def test_a_database_that_is_full_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(importing, "imported", full)
    response = send(sign_in(is_superuser=True), b"{}")
    assert response.status_code == 503
    assert "The database cannot take the file now: database or disk is full" in response.content.decode()


@pytest.mark.parametrize("missing", ["view_run", "view_run_payload", "operate_run"])
def test_a_copy_needs_all_three_permissions(missing: str) -> None:
    others = {"view_run", "view_run_payload", "operate_run"} - {missing}
    client = staff(*others)
    assert send(client, b"{}").content.decode() == f"You need the permission runs.{missing}."
    if "view_run" in others:
        run = make_run("success")
        assert client.get(f"/admin/runs/run/{run.pk}/page/facts/").json()["import"] is None
