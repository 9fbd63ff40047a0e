"""`migrate` and `serve` in a host that has options and unapplied migrations of its own."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.host.conftest import HOST, SETTINGS
from tests.host.test_site import manage
from tests.processes.databases import Postgres, Template, migrate
from tests.processes.harness import Site

TABLES = """SELECT schemaname AS schema, array_agg(tablename::text) AS tables FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') GROUP BY 1"""


@pytest.mark.postgresql
def test_migrations_keep_the_hosts_schema(tmp_path: Path, host_template: Template, cache: Path) -> None:
    with host_template.empty() as url:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("CREATE SCHEMA agents")
        migrate(
            tmp_path,
            cache,
            **SETTINGS,
            DATABASE_URL=f"{url}?options=-c%20search_path%3Dagents%20-c%20lock_timeout%3D1",
        )
        [only] = Postgres(url).rows(TABLES)
        assert only["schema"] == "agents"
        assert {"runs_run", "threads_thread", "checkpoints", "people_user"} <= set(only["tables"])


def test_the_host_serves_before_its_own_migrations(
    tmp_path: Path, host_template: Template, cache: Path
) -> None:
    with host_template.copy(tmp_path) as database:
        database.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        site = Site(tmp_path, database, cache=cache, **HOST)
        try:
            site.start("manage.py", "runserver", "{port}", "--noreload")
            assert "migrations for app(s): sessions" in site.process.output
            assert "sessions" in manage(site, "showmigrations", "--plan")
        finally:
            site.close()
        database.execute("DELETE FROM django_migrations WHERE app = 'people'")
        refused = manage(site, "runserver", "--noreload", "0", check=False)
        assert "The database is not migrated: run `python manage.py migrate` first." in refused
