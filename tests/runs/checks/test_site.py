"""System checks of a site that includes the applications. `tests.host` has the one about routers."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from runs.checks.site import check_databases, check_order, check_sqlite, check_static_files


def ids(found: Any) -> list[str]:
    return [each.id for each in found]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["runs.E022"]),
        ({"transaction_mode": "DEFERRED"}, ["runs.E022"]),
        ({"transaction_mode": "IMMEDIATE"}, []),
    ],
)
def test_deferred_transactions_of_sqlite_are_an_error(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], expected: list[str]
) -> None:
    database = {**connections.settings["default"], "ENGINE": "django.db.backends.sqlite3", "OPTIONS": options}
    monkeypatch.setitem(connections.settings, "default", database)
    assert ids(check_sqlite(None)) == expected


def test_this_projects_own_site_is_in_order(settings: Any) -> None:
    assert ids(check_databases(None)) == ids(check_order(None)) == ids(check_static_files(None)) == []


def test_another_runserver_before_ours_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.apps import apps

    configs = {name: config for name, config in apps.app_configs.items() if name != "staticfiles"}
    before = {"staticfiles": apps.app_configs["staticfiles"], **configs}
    monkeypatch.setattr(apps, "app_configs", before)
    assert ids(check_order(None)) == ["runs.W011"]


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("django.contrib.staticfiles.storage.StaticFilesStorage", []),
        ("django.contrib.staticfiles.storage.ManifestStaticFilesStorage", ["runs.W012"]),
        ("whitenoise.storage.CompressedManifestStaticFilesStorage", ["runs.W012"]),
        ("runs.pages.static_files.ModuleStaticFilesStorage", []),
        ("not.there.Storage", []),
    ],
)
def test_hashed_names_without_rewritten_imports_are_a_warning(
    settings: Any, backend: str, expected: list[str]
) -> None:
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    assert ids(check_static_files(None)) == expected
