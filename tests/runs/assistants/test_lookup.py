"""Assistants as rows: their versions, and the remains of deleted ones."""

from __future__ import annotations

import threading
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from runs.assistants import create_system_assistants, search, system_assistant_id, writing
from runs.identity.principals import Principal
from runs.models import Assistant, AssistantVersion
from runs.models.assistant_version import DEFINITION
from runs.retention.policy import Policy, survey
from tests.support.retention import closing_connection, report_of
from tests.support.rows import make_assistant, make_run, make_user
from threads.db import clock

pytestmark = pytest.mark.django_db(transaction=True)


def test_system_assistants_are_made_once_with_a_version(run_settings: Any) -> None:
    for _ in range(2):
        create_system_assistants(["steps", "talking"])
    assert Assistant.objects.count() == 2
    version = AssistantVersion.objects.get(assistant=system_assistant_id("steps"))
    assert (version.version, version.metadata) == (1, {"created_by": "system"})


def test_what_older_code_has_made_becomes_a_version() -> None:
    migration: Any = import_module("runs.migrations.0006_assistant_versions")
    made = make_assistant(
        user=make_user(),
        description="d",
        config={"tags": ["t"]},
        context={"k": "ä"},
        metadata={"m": [1]},
        version=3,
    )
    with connection.cursor() as cursor:
        cursor.execute(migration.COPY)
    version = AssistantVersion.objects.get(assistant=made)
    assert {name: getattr(version, name) for name in DEFINITION} == {
        name: getattr(made, name) for name in DEFINITION
    }
    assert (version.version, version.created_at) == (3, made.updated_at)
    # Its next change makes the fourth version.
    changed = writing.change_assistant(made.id, {"name": "x"}, principal=Principal(made.user_id or 0))
    assert changed.version == 4


def test_no_number_is_given_twice() -> None:
    assistant = make_assistant(user=make_user())
    AssistantVersion.of(assistant).save()
    with pytest.raises(IntegrityError):
        AssistantVersion.of(assistant).save()


@pytest.mark.postgresql
def test_a_change_waits_for_the_one_before_it() -> None:
    """Two processes: the second reads what the first has committed."""
    principal = Principal(make_user().pk)
    made, _ = writing.create_assistant(
        {"graph_id": "steps"}, assistant_id=None, if_exists="raise", principal=principal
    )
    name = made.id

    def second() -> None:
        writing.change_assistant(name, {"metadata": {"b": 2}}, principal=principal)

    with transaction.atomic():
        writing.change_assistant(name, {"metadata": {"a": 1}}, principal=principal)
        other = threading.Thread(target=closing_connection, args=(second,))
        other.start()
        other.join(0.2)
        assert other.is_alive()
    other.join(5)
    found = Assistant.objects.get(id=name)
    assert (found.version, found.metadata) == (3, {"a": 1, "b": 2})


def test_a_deleted_assistant_is_removed_once_no_run_names_it(run_settings: Any) -> None:
    ago = clock.now() - timedelta(seconds=600)
    present = make_assistant(user=make_user())
    named = make_assistant(user=make_user(), deleted_at=ago)
    unnamed = make_assistant(user=make_user(), deleted_at=ago)
    # An admission that has found it may be about to reference it.
    just_now = make_assistant(user=make_user(), deleted_at=clock.now())
    run = make_run("success", assistant=named)
    assert survey(Policy()).assistants == 1
    assert report_of(Policy()).assistants == 1
    assert not Assistant.objects.filter(id=unnamed.id).exists()
    assert Assistant.objects.filter(id__in=[present.id, named.id, just_now.id]).count() == 3
    run.delete()
    assert report_of(Policy()).assistants == 1
    assert not Assistant.objects.filter(id=named.id).exists()


def test_a_search_reads_sizes_and_rows_and_a_change_is_few_queries() -> None:
    principal = Principal(make_user().pk)
    for number in range(12):
        made, _ = writing.create_assistant(
            {"graph_id": "steps", "metadata": {"n": number % 2}},
            assistant_id=None, if_exists="raise", principal=principal,
        )  # fmt: skip
    conditions: dict[str, Any] = {
        "graph_id": "steps",
        "name": None,
        "metadata": {"n": 1},
        "principal": principal,
    }
    with CaptureQueriesContext(
        connection,
    ) as asked:
        found, more = search.page(limit=5, offset=0, sort_by="name", sort_order="asc", **conditions)
    assert (len(asked), len(found), more) == (2, 5, True)
    assert search.count(**conditions) == 6
    with CaptureQueriesContext(connection) as asked:
        writing.change_assistant(made.id, {"metadata": {"n": 2}}, principal=principal)
    statements = [
        each["sql"].split()[0] for each in asked if each["sql"].split()[0] not in ("BEGIN", "COMMIT")
    ]
    assert statements == ["SELECT", "SELECT", "UPDATE", "INSERT"]
