"""The permissions of the admin: each of its pages and actions, with each set of permissions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from runs.encoding import encode
from runs.models import ApiKey, AssistantVersion, AuthIdentity, BulkAction, RunAction, SiteAction
from tests.runs.crons.test_firing import make_cron
from tests.runs.webhooks.test_delivery import delivery_to
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_assistant, make_events, make_run, make_thread, make_user, make_worker
from threads.db import clock
from threads.db.namespaces import encode as namespace
from threads.models import StoreItem
from threads.redaction import HIDDEN

OURS = ("runs", "threads")
#: The text in each row that people and graphs write.
SECRET = "what-a-person-wrote"
#: What is secret by its name.
CANARY = "canary-of-a-key"
READ, OPERATE = "view_run_payload", "operate_run"
NO_PAGE = "no page"

#: The permissions that a page needs; `NO_PAGE` if there is no such page.
PAGES: dict[str, frozenset[str]] = {
    f"{app}_{model}_{page}": frozenset([NO_PAGE if page in ("add", "delete") else f"view_{model}"])
    for app, model in (
        ("runs", "apikey"), ("runs", "assistant"), ("runs", "authidentity"), ("runs", "cron"), ("runs", "run"),
        ("runs", "webhookdelivery"), ("runs", "worker"), ("runs", "siteaction"), ("threads", "storeitem"), ("threads", "thread"),
    )
    for page in ("changelist", "change", "history", "add", "delete")
}  # fmt: skip
PAGES |= {
    "runs_apikey_add": frozenset(["add_apikey"]),
    "runs_run_page_facts": frozenset(["view_run"]),
    "runs_run_page_spans": frozenset(["view_run"]),
    "runs_run_page_graph": frozenset(["view_run"]),
    "runs_run_page_step": frozenset(["view_run", READ]),
    "runs_run_page_events": frozenset(["view_run", READ]),
    "runs_run_page_transcript": frozenset(["view_run", READ]),
    "runs_run_page_export": frozenset(["view_run", READ]),
    "runs_run_page_compare": frozenset(["view_run", READ]),
    "runs_run_import": frozenset(["view_run", READ, OPERATE]),
    "runs_run_page_act": frozenset(["view_run", OPERATE]),
    "runs_run_rows": frozenset(["view_run"]),
    "runs_run_durations": frozenset(["view_run"]),
    "runs_run_suggestions": frozenset(["view_run"]),
    "runs_run_columns": frozenset(["view_run"]),
    "runs_run_saveview": frozenset(["view_run"]),
    "runs_run_deleteview": frozenset(["view_run"]),
    "threads_thread_person": frozenset(["view_user"]),
    "threads_thread_export": frozenset(["view_user", READ]),
    "threads_thread_remove": frozenset(["view_user", "delete_user"]),
    "threads_thread_states": frozenset(["view_thread", READ]),
    "threads_thread_fork": frozenset(["view_thread", READ, OPERATE]),
    "runs_assistant_graph": frozenset(["view_assistant"]),
    "runs_overview_changelist": frozenset(["view_run"]),
    "runs_overview_spending": frozenset(["view_run"]),
    "runs_waiting_changelist": frozenset(["view_thread"]),
    "runs_waiting_items": frozenset(["view_thread"]),
    "runs_pausedqueue_changelist": frozenset(["view_pausedqueue"]),
    "runs_pausedqueue_pause": frozenset(["view_pausedqueue", OPERATE]),
    "runs_bulkaction_changelist": frozenset(["view_run"]),
    "runs_bulkaction_change": frozenset(["view_run"]),
    "runs_bulkaction_history": frozenset(["view_run"]),
    "runs_bulkaction_add": frozenset([NO_PAGE]),
    "runs_bulkaction_delete": frozenset([NO_PAGE]),
    "runs_bulkaction_progress": frozenset(["view_run"]),
    "runs_bulkaction_stop": frozenset(["view_run", OPERATE]),
    "runs_pausedqueue_resume": frozenset(["view_pausedqueue", OPERATE]),
}
#: The pages of one row.
OF_ROWS = frozenset(["change", "history", "delete", "graph", "progress", "stop"])
#: The permissions that an action of a list needs beside that to view the list.
ACTIONS: dict[tuple[str, str], str] = {
    ("run", "cancel_runs"): OPERATE,
    ("run", "roll_back_runs"): OPERATE,
    ("run", "retry_runs"): OPERATE,
    ("run", "requeue_runs"): OPERATE,
    ("run", "set_priority"): OPERATE,
    ("run", "reconcile_runs"): OPERATE,
    ("worker", "drain"): OPERATE,
    ("thread", "remove_threads"): "delete_thread",
    ("cron", "enable"): OPERATE,
    ("cron", "disable"): OPERATE,
    ("cron", "fire_now"): OPERATE,
    ("webhookdelivery", "send_again"): OPERATE,
    ("apikey", "revoke_keys"): "change_apikey",
}
#: The pages that show what people and graphs wrote.
READERS = {
    "runs_run_change", "runs_run_page_facts", "runs_run_page_events", "runs_run_page_export", "runs_cron_change",
    "runs_assistant_change", "runs_webhookdelivery_change", "runs_waiting_changelist", "runs_waiting_items", "threads_thread_change", "threads_thread_export",
    "threads_storeitem_change",
}  # fmt: skip
HOUR = timedelta(hours=1)
VIEW = frozenset().union(*PAGES.values()) - {NO_PAGE, READ, OPERATE, "add_apikey", "delete_user"}
KEYS = frozenset(["add_apikey", "change_apikey"])
DELETE = frozenset(
    f"delete_{model}" for model in ("run", "thread", "storeitem", "cron", "assistant", "worker", "user")
)
SETS: dict[str, frozenset[str]] = {
    "nothing": frozenset(),
    "look": VIEW,
    "look and read": VIEW | {READ},
    "look and operate": VIEW | {OPERATE},
    "look and delete": VIEW | DELETE,
    "look and administer keys": VIEW | KEYS,
    "act without looking": frozenset([READ, OPERATE]) | DELETE,
    "everything": VIEW | KEYS | DELETE | {READ, OPERATE},
}

pytestmark = pytest.mark.django_db


def pages() -> Iterator[tuple[str, str]]:
    """The name and the model of each page below the admin that Django does not have itself."""
    (site,) = [
        each
        for each in get_resolver().url_patterns
        if isinstance(each, URLResolver) and each.namespace == "admin"
    ]
    stock = {"app_list", *(pattern.name for pattern in admin.AdminSite().get_urls())}
    others = tuple(
        f"{model._meta.app_label}_{model._meta.model_name}_"
        for model in admin.site._registry
        if model._meta.app_label not in OURS
    )
    for pattern in _flat(site.url_patterns):
        if pattern.name and pattern.name not in stock and not pattern.name.startswith(others):
            yield pattern.name, str(pattern.pattern)


def _flat(patterns: Any) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _flat(pattern.url_patterns)
        elif pattern.name != "auth_user_password_change":
            yield pattern


@pytest.fixture
def rows() -> dict[str, Any]:
    """A row of each model, full of what people wrote, by the model's name."""
    user = make_user()
    now = clock.now()
    written = {"text": SECRET, "api_key": CANARY}
    thread = make_thread(
        user=user, status="interrupted", values=written, config=written, metadata={"title": SECRET},
        interrupts={"task": [{"id": "0" * 32, "value": written}]},
    )  # fmt: skip
    failure = {"node": "boom", "traceback": SECRET, "tasks": []}
    run = make_run(
        "success", thread=thread, kwargs={"input": written, "command": written}, metadata=written, base=written,
        failure=failure,
    )  # fmt: skip
    make_events(run, 2, event="custom", data=encode(written))
    stored = StoreItem.objects.create(
        user=user, namespace=namespace(["a"]), key="k", value=written, created_at=now, updated_at=now
    )
    assistant = make_assistant(
        user=user, config=written, context=written, metadata=written, description=SECRET
    )
    for version in (1, 2):
        AssistantVersion.objects.create(
            assistant=assistant, version=version, graph_id="agent", config={**written, "version": version},
            created_at=now,
        )  # fmt: skip
    return {
        "run": run,
        "thread": thread,
        "storeitem": stored,
        "cron": make_cron(payload={"input": written}, metadata=written),
        "webhookdelivery": delivery_to(
            f"https://example.com/?token={CANARY}", state="failed", finished_at=now, payload=written
        ),
        "worker": make_worker(),
        "siteaction": SiteAction.objects.create(
            kind="pause", subject="night", who="ada", origin="command", created_at=clock.now()
        ),
        "bulkaction": BulkAction.objects.create(kind="cancel", who="ada", origin="admin", created_at=now),
        "assistant": assistant,
        "apikey": ApiKey.objects.create(user=user, prefix="k", digest="d", created_at=now),
        "authidentity": AuthIdentity.objects.create(user=user, identity="i", created_at=now),
    }


def address(name: str, rows: dict[str, Any]) -> str:
    """The address of a page for a row of its model."""
    if name.startswith("runs_run_page_"):
        run = rows["run"].pk
        query = f"?with={run}" if name.endswith("compare") else ""
        return reverse(f"admin:{name}", args=[run]) + query
    if name in ("threads_thread_states", "threads_thread_fork"):
        return reverse(f"admin:{name}", args=[rows["thread"].pk])
    if name in ("threads_thread_person", "threads_thread_export", "threads_thread_remove"):
        return reverse(f"admin:{name}", args=[rows["thread"].user_id])
    model, page = name.split("_")[1:]
    return reverse(f"admin:{name}", args=[rows[model].pk] if page in OF_ROWS else [])


def person_of(client: Client) -> Any:
    return get_user_model().objects.get(pk=client.session["_auth_user_id"])


def test_every_page_is_listed_here() -> None:
    assert {name for name, _ in pages()} == set(PAGES)


@pytest.mark.parametrize("granted", SETS)
def test_each_page_opens_only_with_its_permissions(granted: str, rows: dict[str, Any]) -> None:
    client = staff(*SETS[granted])
    for name, needed in PAGES.items():
        response = client.get(address(name, rows))
        opens = response.status_code != 403
        assert opens == (needed <= SETS[granted]), (name, response.status_code)
        assert response.status_code in (200, 405) if opens else response.status_code == 403, name


@pytest.mark.parametrize("granted", SETS)
def test_what_people_wrote_is_shown_only_to_readers_and_on_record(granted: str, rows: dict[str, Any]) -> None:
    client = staff(*SETS[granted])
    shown = set()
    for name in PAGES:
        before = RunAction.objects.count() + LogEntry.objects.count()
        # Another reader, because one reading is on record for an hour.
        RunAction.objects.update(created_at=clock.now() - 2 * HOUR)
        LogEntry.objects.update(action_time=clock.now() - 2 * HOUR)
        if SECRET in client.get(address(name, rows)).content.decode():
            shown.add(name)
            assert RunAction.objects.count() + LogEntry.objects.count() > before, name
    assert shown == (READERS if READ in SETS[granted] and SETS[granted] >= VIEW else set())


def test_no_page_shows_what_is_secret_by_its_name(rows: dict[str, Any]) -> None:
    client = sign_in(is_superuser=True)
    # An export for the person whose data it is has what they wrote as they wrote it.
    for name in PAGES.keys() - {"threads_thread_export"}:
        html = client.get(address(name, rows)).content.decode()
        assert CANARY not in html, name
        assert name not in READERS or HIDDEN in html, name


@pytest.mark.parametrize("granted", SETS)
def test_each_action_is_offered_only_with_its_permission(granted: str) -> None:
    client = staff(*SETS[granted])
    request = RequestFactory().get("/")
    request.user = person_of(client)
    offered = {
        (model._meta.model_name, name)
        for model, page in admin.site._registry.items()
        if model._meta.app_label in OURS and page.has_view_permission(request)
        for name in page.get_actions(request)
    }
    wanted = {
        key
        for key, needed in ACTIONS.items()
        if needed in SETS[granted] and f"view_{key[0]}" in SETS[granted]
    }
    assert offered == wanted


@pytest.mark.parametrize(
    ("page", "lookup"),
    [
        ("runs_run", "metadata__text__startswith"), ("runs_run", "kwargs__contains"), ("runs_run", "failure__regex"),
        ("runs_cron", "payload__contains"), ("runs_assistant", "config__contains"),
        ("runs_webhookdelivery", "payload__contains"), ("runs_apikey", "digest__startswith"),
        ("threads_thread", "values__contains"), ("threads_thread", "user__password__startswith"),
        ("threads_storeitem", "value__contains"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("rows")
def test_an_address_asks_for_no_column_that_is_not_shown(page: str, lookup: str) -> None:
    client = staff(*VIEW)
    for value in (SECRET[:4], "nothing-like-it"):
        response = client.get(reverse(f"admin:{page}_changelist"), {lookup: value})
        assert response.status_code == 400, (lookup, value)


def test_a_visitor_and_a_user_who_is_no_staff_see_no_page(rows: dict[str, Any]) -> None:
    person = Client()
    person.force_login(make_user(is_superuser=True))
    for client in (Client(), person):
        for name in PAGES:
            response = client.get(address(name, rows))
            assert response.status_code == 302, name
            assert "/login/" in response["location"], name


def test_one_reading_an_hour_is_on_record(rows: dict[str, Any]) -> None:
    client = sign_in(is_superuser=True)
    for _ in range(3):
        # Each export of a user's data is on record.
        for name in READERS - {"threads_thread_export"}:
            client.get(address(name, rows))
    kinds = sorted(RunAction.objects.values_list("kind", flat=True))
    assert kinds == ["export", "read"]
    assert LogEntry.objects.count() == len({"thread", "storeitem", "cron", "webhookdelivery", "assistant"})
