"""The site's settings, as `manage.py check --deploy` sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deerflow_site.settings import BASE_DIR, env_prices

PRODUCTION = {
    "SECRET_KEY": "zK3-a-long-and-random-text-such-as-secrets.token_urlsafe(50)-returns-9qWx",
    "ALLOWED_HOSTS": "agents.example.com",
    "BEHIND_PROXY": "true",
}


def check(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    given = {name: os.environ[name] for name in ("PATH", "HOME", "DATABASE_URL") if name in os.environ}
    given |= {"DATA_DIR": str(tmp_path), **environment}
    return subprocess.run(command, cwd=BASE_DIR, env=given, capture_output=True, text=True, check=False)


def test_a_site_behind_a_proxy_is_in_order(tmp_path: Path) -> None:
    done = check(tmp_path, **PRODUCTION)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


@pytest.mark.parametrize("environment, expected", [
    ({"BEHIND_PROXY": "false"}, ["runs.W005", "set BEHIND_PROXY=true"]),
    ({"SECRET_KEY": "short"}, ["security.W009"]),
    ({"DEBUG": "true"}, ["security.W018"]),
    ({"SECURE_COOKIES": "false"}, ["security.W012", "security.W016"]),
    ({"HSTS_SECONDS": "0"}, ["security.W004"]),
    ({"CORS_ORIGINS": "https://app.example.com/path"}, ["runs.E010"]),
    # The defaults for local development differ from a deployment.
    ({"SECRET_KEY": ""}, ["security.W018"]),
])  # fmt: skip
def test_what_is_not_in_order_is_said(
    tmp_path: Path, environment: dict[str, str], expected: list[str]
) -> None:
    done = check(tmp_path, **{**PRODUCTION, **environment})
    assert done.returncode == 1
    for each in expected:
        assert each in done.stderr


def test_prices_of_models_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_PRICES", "gpt-5=1.25/10, a=b=0/2")
    assert env_prices("MODEL_PRICES") == {"gpt-5": (1.25, 10.0), "a=b": (0.0, 2.0)}
    for wrong in ("gpt-5", "gpt-5=1", "gpt-5=1/2/3", "gpt-5=much/2"):
        monkeypatch.setenv("MODEL_PRICES", wrong)
        with pytest.raises(ValueError, match="MODEL_PRICES must have prices such as"):
            env_prices("MODEL_PRICES")
