"""NUL characters, which PostgreSQL refuses, in every search, filter and order of the admin's lists."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from tests.support.admin_site import sign_in
from tests.support.rows import make_run

pytestmark = pytest.mark.django_db

LISTS = {
    f"{model._meta.app_label}_{model._meta.model_name}": page
    for model, page in admin.site._registry.items()
    if model._meta.app_label in ("runs", "threads")
}


@pytest.fixture
def root() -> Client:
    client = sign_in(is_superuser=True)
    client.raise_request_exception = False
    return client


def parameters(page: Any) -> set[str]:
    """The parameters of a list's address: search, order, page, and those of its filters."""
    found = {"q", "o", "p", "e", "all", "_popup", "columns", "after", "before", "assistant", "user"}
    for each in page.get_list_filter(RequestFactory().get("/")):
        name = each[0] if isinstance(each, tuple) else each
        if isinstance(name, str):
            found |= {name, f"{name}__exact", f"{name}__gte", f"{name}__in", f"{name}__id__exact"}
        else:
            found.add(name.parameter_name)
    return found


def test_there_are_lists() -> None:
    assert len(LISTS) > 8


@pytest.mark.parametrize("name", LISTS)
def test_a_list_with_a_nul_in_its_address_is_answered(root: Client, name: str) -> None:
    make_run("success")
    for parameter in sorted(parameters(LISTS[name])):
        answer = root.get(reverse(f"admin:{name}_changelist"), {parameter: "a\0b"})
        assert answer.status_code < 500, parameter


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("events", ("kind", "namespace", "after", "before", "data")),
        ("step", ("span", "namespace", "node", "begin", "end")),
        ("compare", ("with",)),
        ("graph", ("xray",)),
    ],
)
def test_a_part_of_a_run_with_a_nul_in_its_address_is_answered(
    root: Client, page: str, names: tuple[str, ...]
) -> None:
    run = make_run("success")
    for name in names:
        answer = root.get(f"/admin/runs/run/{run.pk}/page/{page}/", {name: "a\0b"})
        assert answer.status_code < 500, name


def test_a_form_of_a_thread_with_a_nul_is_answered(root: Client) -> None:
    thread = make_run("success").thread_id
    states = f"/admin/threads/thread/{thread}/states/"
    assert root.get(states, {"before": "a\0b"}).status_code < 500
    given = {"checkpoint": "a\0b", "values": "", "as_node": "a\0b", "reason": "a\0b"}
    for name, value in given.items():
        answer = root.post(f"/admin/threads/thread/{thread}/fork/", {**dict.fromkeys(given, ""), name: value})
        assert answer.status_code < 500, name
