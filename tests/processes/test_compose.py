"""The role that `compose.yaml` gives to the site: enough to migrate and to serve, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege

from tests.processes.databases import ROOT, migrate

pytestmark = pytest.mark.postgresql

PASSWORD = 'it\'s "a" secret\\'


def statements(role: str) -> Iterator[str]:
    """The statements of the script, except those about what other tests use."""
    lines = (ROOT / "docker/database.sql").read_text().splitlines()
    plain = "\n".join(line for line in lines if not line.startswith(("--", "\\")))
    quoted = "'" + PASSWORD.replace("'", "''") + "'"
    for statement in plain.replace(":'password'", quoted).replace("deerflow", role).split(";"):
        if statement.strip() and "CURRENT_USER" not in statement and "DATABASE postgres" not in statement:
            yield statement


@pytest.fixture
def role() -> Iterator[str]:
    """The name of the role, and of its database, on the tests' own server."""
    name = f"compose_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as db:
        try:
            for statement in statements(name):
                db.execute(statement)  # type: ignore[arg-type]
            yield name
        finally:
            db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
            db.execute(f"DROP ROLE IF EXISTS {name}")  # type: ignore[arg-type]


def test_the_sites_role_migrates_and_is_no_superuser(role: str, tmp_path: Path, cache: Path) -> None:
    given = conninfo_to_dict(os.environ["DATABASE_URL"])
    url = f"postgresql://{role}:x@{given['host']}:{given.get('port', 5432)}/{role}"
    migrate(tmp_path, cache, DATABASE_URL=url)
    with psycopg.connect(url, autocommit=True) as db:
        rights = db.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles "
            "WHERE rolname = current_user"
        ).fetchone()
        assert rights == (False,) * 5
        assert db.execute("SELECT count(*) FROM runs_run").fetchone() == (0,)
        for forbidden in (
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "CREATE ROLE another",
            "SELECT pg_read_file('x')",
        ):
            with pytest.raises(InsufficientPrivilege):
                db.execute(forbidden)  # type: ignore[arg-type]


def test_the_script_has_all_that_compose_names() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    script = (ROOT / "docker/database.sql").read_text()
    assert "POSTGRES_USER" not in compose, "it would be the superuser"
    assert "postgresql://deerflow:${POSTGRES_PASSWORD}@database/deerflow" in compose
    assert "./docker/database.sql:/docker-entrypoint-initdb.d/" in compose
    assert "CREATE ROLE deerflow LOGIN" in script and "CREATE DATABASE deerflow OWNER deerflow" in script
    assert "ALTER ROLE CURRENT_USER PASSWORD NULL" in script
