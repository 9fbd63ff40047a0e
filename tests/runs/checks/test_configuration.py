"""The system checks: each finding has an id, a sentence and a remedy; none blocks `migrate`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connections
from django.test import override_settings

from runs import conf, graphs
from runs.checks import configuration, exposure

ROOT = Path(__file__).resolve().parents[3]


def test_a_local_user_of_a_public_site_is_a_warning(settings: Any, run_settings: Any) -> None:
    settings.DEBUG = False
    run_settings(LOCAL_USER=True)
    assert [problem.id for problem in configuration.check_local_user(None)] == ["runs.W004"]
    settings.DEBUG = True
    assert not configuration.check_local_user(None)
    settings.DEBUG = False
    run_settings(LOCAL_USER=False)
    assert not configuration.check_local_user(None)


@pytest.mark.parametrize("local, changes, expected", [
    (True, {"DEBUG": True, "SECRET_KEY": "x"}, []),
    (False, {"DEBUG": True}, ["runs.W006"]),
    (False, {"SECRET_KEY": "x"}, ["runs.W007"]),
    (False, {"SECRET_KEY": "x" * 60}, ["runs.W007"]),
    (False, {"ALLOWED_HOSTS": ["*"]}, ["runs.W008"]),
    (True, {"ALLOWED_HOSTS": ["*"]}, ["runs.W008"]),
    (False, {}, []),
])  # fmt: skip
def test_what_lets_anybody_in_is_a_warning(
    settings: Any, run_settings: Any, local: bool, changes: dict[str, Any], expected: list[str]
) -> None:
    good = {"DEBUG": False, "SECRET_KEY": "".join(map(chr, range(48, 108))), "ALLOWED_HOSTS": ["a.example"]}
    for name, value in {**good, **changes}.items():
        setattr(settings, name, value)
    run_settings(LOCAL_USER=local)
    assert [problem.id for problem in exposure.check_exposure(None)] == expected


def test_a_variable_that_is_not_read_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGGRAPH_CONFIG", raising=False)
    assert not exposure.check_unread_environment(None)
    for name in ("LANGGRAPH_CONFIG", "LANGGRAPH_AES_KEY", "MOUNT_PREFIX"):
        monkeypatch.setenv(name, "x")
        [problem] = list(exposure.check_unread_environment(None))
        assert problem.id == "runs.W009" and name in problem.msg and problem.hint
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_graphs() -> Iterator[None]:
    """Start without settings; unload the graphs afterwards."""
    with override_settings(RUNS={}):
        yield
    graphs.reset()


def found(**kwargs: Any) -> list[CheckMessage]:
    return run_checks(tags=[configuration.TAG], **kwargs)


def ids(**kwargs: Any) -> list[str]:
    return sorted(str(message.id) for message in found(**kwargs))


def test_the_defaults_are_in_order() -> None:
    assert found() == []


def test_writing_the_defaults_down_is_in_order() -> None:
    defaults = {name: getattr(conf.RunSettings, name) for name in vars(conf.RunSettings) if name.isupper()}
    with override_settings(RUNS=defaults):
        assert found() == []


def test_a_graph_that_cannot_be_imported_is_an_error_with_its_reason() -> None:
    with override_settings(RUNS={"GRAPHS": {"a": "no_such_module:graph"}}):
        (error,) = found()
        assert error.id == "runs.E001" and error.is_serious()
        assert "ModuleNotFoundError: No module named 'no_such_module'" in error.msg
        assert error.hint == "Correct it or its entry in RUNS['GRAPHS']."


def test_migrate_does_not_import_the_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
    with override_settings(RUNS={"GRAPHS": {"a": "no_such_module:graph"}}):
        assert ids() == []


@pytest.mark.parametrize("command, code", [("migrate", 0), ("check", 1)])
def test_migrate_works_with_a_broken_graph_and_check_refuses(tmp_path: Path, command: str, code: int) -> None:
    app = "from django.apps import AppConfig\nclass App(AppConfig):\n    name = 'checked'\n"
    app += "    def ready(self):\n        from runs.checks import configuration as checks\n"
    (tmp_path / "checked").mkdir()
    (tmp_path / "checked" / "__init__.py").write_text("")
    (tmp_path / "checked" / "apps.py").write_text(app)
    (tmp_path / "broken.py").write_text("import no_such_module")
    (tmp_path / "site_settings.py").write_text(
        "SECRET_KEY = 'x'\n"
        "INSTALLED_APPS = ['checked', 'django.contrib.contenttypes']\n"
        f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {str(tmp_path / 'db')!r}}}}}\n"
        "RUNS = {'GRAPHS': {'a': 'broken:graph'}}\n"
    )
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "DJANGO_SETTINGS_MODULE": "site_settings"}
    process = [sys.executable, "-m", "django", command]
    result = subprocess.run(
        process, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == code, result.stderr
    assert ("runs.E001" in result.stderr and f"({tmp_path / 'broken.py'}:1)" in result.stderr) == bool(code)


def test_an_unknown_setting_is_an_error() -> None:
    with override_settings(RUNS={"CONCURENCY": 3}):
        (error,) = found()
        assert (error.id, error.msg) == ("runs.E003", "RUNS has the unknown setting 'CONCURENCY'.")
        assert "CONCURRENCY" in str(error.hint)


@pytest.mark.parametrize(
    ("name", "value", "demand"),
    [
        ("RECOVERY", "retry", "one of 'resume', 'error'"),
        ("ON_SHUTDOWN", None, "one of 'requeue', 'interrupt'"),
        ("CONCURRENCY", 0, "a positive number"),
        ("CONCURRENCY", -1, "a positive number"),
        ("CONCURRENCY", 2.5, "of the type int"),
        ("CONCURRENCY", True, "of the type int"),
        ("LEASE", "30", "of the type float"),
        ("LEASE", float("nan"), "a positive number"),
        ("LEASE", float("inf"), "a positive number"),
        ("RUN_TIMEOUT", -1, "a number that is not negative"),
        ("LOCAL_USER", 1, "of the type bool"),
        ("CHECKPOINTS_FILE", 7, "of the type str | pathlib.Path"),
        ("CHECKPOINT_MODULES", "mine", "of the type tuple[str, ...]"),
        ("CHECKPOINT_MODULES", [7], "of the type tuple[str, ...]"),
        ("GRAPHS", ["mine:graph"], "of the type dict[str, typing.Any]"),
    ],
)
def test_a_value_that_is_not_allowed_is_an_error(name: str, value: Any, demand: str) -> None:
    with override_settings(RUNS={name: value}):
        messages = [error.msg for error in configuration.check_settings(None) if error.id == "runs.E004"]
        assert messages == [f"RUNS[{name!r}] is {value!r}: it must be {demand}."]
        assert "runs.E004" in ids()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUN_TIMEOUT", 0),
        ("DRAIN_SECONDS", 0.0),
        ("LEASE", 60),
        ("CHECKPOINTS_FILE", Path("checkpoints.sqlite3")),
        ("CHECKPOINT_MODULES", ["json"]),
        ("ON_SHUTDOWN", "interrupt"),
    ],
)
def test_a_value_that_is_allowed_is_none(name: str, value: Any) -> None:
    with override_settings(RUNS={name: value}):
        assert found() == []


def test_settings_that_are_no_dictionary_are_one_error() -> None:
    with override_settings(RUNS=["GRAPHS"]):
        assert ids() == ["runs.E004"]


@pytest.mark.parametrize(
    ("lease", "heartbeat", "expected"), [(10, 5, []), (10, 5.1, ["runs.E007"]), (1, 5, ["runs.E007"])]
)
def test_a_lease_must_outlast_two_heartbeats(lease: float, heartbeat: float, expected: list[str]) -> None:
    with override_settings(RUNS={"LEASE": lease, "HEARTBEAT": heartbeat}):
        assert ids() == expected


@pytest.mark.parametrize(("age", "expected"), [(0, []), (60, ["runs.W010"]), (None, ["runs.W010"])])
def test_persistent_connections_are_an_error_under_asgi(
    monkeypatch: pytest.MonkeyPatch, age: int | None, expected: list[str]
) -> None:
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", age)
    with override_settings(ASGI_APPLICATION="site.asgi.application"):
        assert ids() == expected
    with override_settings(ASGI_APPLICATION=None):
        assert ids() == []


@pytest.mark.parametrize(("release", "expected"), [((5, 2), ["runs.W003"]), ((6, 0), [])])
def test_compression_that_breaks_event_streams_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, release: tuple[int, int], expected: list[str]
) -> None:
    monkeypatch.setattr(django, "VERSION", (*release, 0, "final", 0))
    with override_settings(MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"]):
        assert ids() == expected
    with override_settings(MIDDLEWARE=[]):
        assert ids() == []


@pytest.mark.parametrize(
    ("installed", "expected"), [("4.2.1", ["runs.E008"]), ("4.2.2", []), ("4.10", []), ("4.2", ["runs.E008"])]
)
def test_a_daphne_with_known_holes_is_an_error(
    monkeypatch: pytest.MonkeyPatch, installed: str, expected: list[str]
) -> None:
    monkeypatch.setattr(configuration, "version", {"daphne": installed}.__getitem__)
    assert ids() == expected


@pytest.mark.parametrize("content", [None, "{", '{"graphs": {}, "env": ".env"}'])
def test_a_langgraph_json_is_checked(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "langgraph.json"
    if content:
        path.write_text(content)
    with override_settings(RUNS={"LANGGRAPH_JSON": str(path)}):
        assert ids() == (["runs.W002"] if content and "env" in content else ["runs.E005"])
    if str(tmp_path) in sys.path:
        sys.path.remove(str(tmp_path))
