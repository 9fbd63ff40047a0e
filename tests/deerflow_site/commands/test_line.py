"""`deerflow`: the site's commands for the project of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core import management

from deerflow_site.commands import line
from tests.deerflow_site.project.test_reading import write
from tests.reloads.dev import OWN, ROOT


def run(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in OWN}
    return subprocess.run(
        [sys.executable, "-m", "deerflow_site", *arguments],
        cwd=folder, env={**kept, "PYTHONPATH": str(ROOT), **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_commands_are_the_sites_for_the_project_here(tmp_path: Path) -> None:
    write(tmp_path, env={"LOG_LEVEL": "ERROR"})
    done = run(tmp_path, "migrate", "--verbosity", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / ".deerflow" / "db.sqlite3").is_file()
    failed = run(tmp_path, "serve", "--port", "0")
    assert failed.returncode == 1 and "there is no file" in failed.stderr and "agent.py" in failed.stderr


def test_a_wrong_file_is_one_sentence_for_every_command(tmp_path: Path) -> None:
    write(tmp_path, surprise=1)
    for arguments in (("migrate",), ("serve",), ("doctor",), ("dockerfile",)):
        done = run(tmp_path, *arguments)
        assert done.returncode == 1, done
        [line] = [line for line in (done.stdout + done.stderr).splitlines() if "surprise" in line]
        assert "langgraph.json: 'surprise' is not a known key" in line and "Traceback" not in done.stderr


def test_what_django_does_not_know_is_for_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    def commands() -> dict[str, str]:
        return {"serve": "runs", "agents": "runs"}

    monkeypatch.setattr(management, "get_commands", commands)
    assert line.dispatched(["deerflow", "runs", "list"]) == ["deerflow", "agents", "runs", "list"]
    for arguments in (["serve", "--port", "1"], ["agents", "runs"], ["--version"], ["help"]):
        assert line.dispatched(["deerflow", *arguments]) == ["deerflow", *arguments]


def test_windows_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match="deerflow needs Linux or macOS"):
        line.main()


def test_the_settings_module_can_be_another(tmp_path: Path) -> None:
    done = run(tmp_path, "check", DJANGO_SETTINGS_MODULE="no_such_settings")
    assert done.returncode == 1 and "no_such_settings" in done.stderr


SITE = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "ninja", "threads", "runs"]
AUTH_USER_MODEL = "auth.User"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
"""


def test_a_sites_own_settings_are_found_by_the_console_script(tmp_path: Path) -> None:
    """A console script, other than manage.py, does not have the current folder on its path."""
    (tmp_path / "mysite.py").write_text(SITE)
    code = "import sys; sys.path.remove(''); sys.argv[0] = 'deerflow'; from deerflow_site.commands.line import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "shell", "-c", "from django.conf import settings; print(settings.SITE_NAME)"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "mysite"},
        capture_output=True, text=True, check=False, input="",
    )  # fmt: skip
    assert "No module named 'mysite'" not in done.stderr and "SITE_NAME" in done.stderr


def test_the_data_lie_where_env_says(tmp_path: Path) -> None:
    write(tmp_path, env={"DATA_DIR": str(tmp_path / "elsewhere")})
    done = run(tmp_path, "migrate", "--verbosity", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "elsewhere" / "db.sqlite3").is_file() and not (tmp_path / ".deerflow").exists()


def test_doctor_takes_another_file(tmp_path: Path) -> None:
    write(tmp_path).rename(tmp_path / "other.json")
    done = run(tmp_path, "doctor", "--config", "other.json")
    assert "other.json: every key is known" in done.stdout


@pytest.mark.parametrize("arguments", [("migrate",), ("doctor",)])
def test_encryption_is_refused_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write(tmp_path, env={"LANGGRAPH_AES_KEY": "0" * 32})
    done = run(tmp_path, *arguments)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "LANGGRAPH_AES_KEY is not supported: this server does not encrypt" in done.stdout + done.stderr
