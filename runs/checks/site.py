"""System checks of the site that includes this application."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.conf import STATICFILES_STORAGE_ALIAS
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.utils.module_loading import import_string

from runs.checks.configuration import TAG, Apps

#: Applications whose `runserver` starts another server than ours, if they are listed before.
SERVERS = ("daphne", "django.contrib.staticfiles")


@register(TAG)
def check_databases(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E021: a run, its checkpoints and its user are written in one transaction."""
    ours = [*apps.get_app_config("threads").get_models(), *apps.get_app_config("runs").get_models()]
    for model in (get_user_model(), *ours):
        if not all(_in_default(model)):
            yield Error(
                f"DATABASE_ROUTERS keeps {model._meta.label} out of the database 'default'.",
                hint="The tables of users, threads and runs must be in it, because foreign keys and transactions connect "
                "them. Other tables may be anywhere.",
                id="runs.E021",
            )
            return


def _in_default(model: type[models.Model]) -> Iterator[bool]:
    yield router.db_for_read(model) == DEFAULT_DB_ALIAS
    yield router.db_for_write(model) == DEFAULT_DB_ALIAS
    yield router.allow_migrate_model(DEFAULT_DB_ALIAS, model)


@register(TAG)
def check_order(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W011: the first application that has a `runserver` wins."""
    names = [config.name for config in apps.get_app_configs()]
    before = [name for name in names[: names.index("runs")] if name in SERVERS]
    if before:
        yield Warning(
            f"INSTALLED_APPS lists {before[0]!r} before 'runs', so that `runserver` cannot execute runs.",
            hint="List 'runs' first.",
            id="runs.W011",
        )


@register(TAG)
def check_sqlite(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E022: with SQLite's deferred transactions, two of them can take over the same thread."""
    database = connections.settings[DEFAULT_DB_ALIAS]
    mode = str(database.get("OPTIONS", {}).get("transaction_mode", "")).upper()
    if database["ENGINE"] == "django.db.backends.sqlite3" and mode not in ("IMMEDIATE", "EXCLUSIVE"):
        yield Error(
            "The SQLite database 'default' has deferred transactions, which do not lock what they read.",
            hint='Add "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30}.',
            id="runs.E022",
        )


@register(TAG)
def check_static_files(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W012: the modules of the pages would be loaded under two names, and old ones mixed with new ones."""
    backend = django_settings.STORAGES.get(STATICFILES_STORAGE_ALIAS, {}).get("BACKEND", "")
    try:
        storage = import_string(backend)
    except ImportError:
        # Django says so where the storage is used.
        return
    hashes = isinstance(storage, type) and issubclass(storage, HashedFilesMixin)
    if hashes and not storage.support_js_module_import_aggregation:
        yield Warning(
            f"The storage of static files, {backend}, hashes names but leaves the imports of JavaScript modules alone.",
            hint='Use "runs.pages.static_files.ModuleStaticFilesStorage", or RewritesImports of the same module as the '
            "first base class of the site's own storage.",
            id="runs.W012",
        )
