"""The reference of all settings, and its committed copy."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from runs.conf import RunSettings
from runs.management.commands.settings_reference import VARIABLES, environment, reference, settings

ROOT = Path(__file__).parents[3]
COPY = ROOT / "docs" / "configuration.md"
SITE = (ROOT / "deerflow_site" / "settings.py").read_text()


def test_the_committed_copy_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "deerflow_site.settings")
    written = StringIO()
    call_command("settings_reference", stdout=written)
    assert written.getvalue() == COPY.read_text(), "manage.py settings_reference > docs/configuration.md"


def test_every_setting_is_listed_with_its_meaning() -> None:
    listed = {each.name: each.meaning for each in settings()}
    assert list(listed) == [name for name in vars(RunSettings) if name.isupper()]
    assert listed["USER_CONCURRENCY"].startswith("Runs of one user")
    assert listed["TOTAL_CONCURRENCY"].startswith("Runs of all users")
    assert not [name for name, meaning in listed.items() if meaning.startswith("See `")]


def test_every_variable_is_listed_with_its_meaning() -> None:
    variables = {each.name: each for each in environment(SITE)}
    # The functions that read variables call `env` themselves, with a name from their arguments.
    assert set(variables) == set(re.findall(r'\benv\w*\(\s*"(\w+)"', SITE))
    assert {name for name, each in variables.items() if not each.sets} == set(VARIABLES)
    assert variables["RUN_CONCURRENCY"].sets == ("CONCURRENCY",)


def test_choices_and_bounds_are_told() -> None:
    lines = {line.split("`")[1]: line for line in reference(SITE).splitlines() if line.startswith("| `")}
    assert "`resume` or `error`" in lines["RECOVERY"]
    assert "number, more than 0" in lines["LEASE"]
    assert "number, 0 or more" in lines["RUN_TIMEOUT"]
