"""What a langgraph.json's keys mean as settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deerflow_site.project import ProjectError, read
from deerflow_site.project.run_settings import cors_settings, run_settings
from tests.deerflow_site.project.test_reading import write


def found(folder: Path, **content: Any) -> dict[str, Any]:
    return run_settings(read(write(folder, **content)), {"LG_WEBHOOK_KEY": "secret", "OTHER": "x"})


def test_a_file_of_graphs_alone_sets_nothing(tmp_path: Path) -> None:
    assert found(tmp_path) == {}
    assert cors_settings(read(write(tmp_path)), local=True) == {}


@pytest.mark.parametrize("content, expected", [
    (
        {"checkpointer": {"ttl": {"strategy": "keep_latest", "default_ttl": 60, "sweep_interval_minutes": 2}}},
        {"THREAD_TTL": 60, "THREAD_TTL_STRATEGY": "keep_latest", "RETENTION_SWEEP": 120},
    ),
    (
        {"webhooks": {
            "url": {"require_https": False, "allowed_domains": ["*.a.example"], "allowed_ports": [443]},
            "headers": {"X-Key": "Bearer ${{ env.LG_WEBHOOK_KEY }}"},
        }},
        {
            "WEBHOOK_SCHEMES": ("https", "http"), "WEBHOOK_HOSTS": ("*.a.example",), "WEBHOOK_PORTS": (443,),
            "WEBHOOK_HEADERS": {"X-Key": "Bearer secret"},
        },
    ),
    ({"http": {"disable_webhooks": True}}, {"WEBHOOKS": False}),
    (
        {"http": {"configurable_headers": {"include": ["x-*"], "excludes": ["x-a"]}}},
        {"CONFIGURABLE_HEADERS": {"includes": ["x-*"], "excludes": ["x-a"]}},
    ),
])  # fmt: skip
def test_keys_are_settings(tmp_path: Path, content: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found(tmp_path, **content) == expected


@pytest.mark.parametrize("content, said", [
    ({"headers": {"A": "${{ env.OTHER }}"}}, "'webhooks.headers.A' names OTHER, which does not begin with LG_WEBHOOK_."),
    ({"headers": {"A": "${{ env.LG_WEBHOOK_NO }}"}}, "names LG_WEBHOOK_NO, which is not in the environment."),
    ({"headers": {"A": 1}}, "'webhooks.headers.A' must be a text, not 1."),
])  # fmt: skip
def test_wrong_headers_are_named(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError) as caught:
        found(tmp_path, webhooks=content)
    assert said in str(caught.value)


def test_a_time_to_live_is_positive(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"'checkpointer.ttl.default_ttl' must be positive"):
        found(tmp_path, checkpointer={"ttl": {"default_ttl": 0}})


def test_all_origins_mean_this_machine_for_the_local_user(tmp_path: Path) -> None:
    project = read(
        write(tmp_path, http={"cors": {"allow_origins": ["*", "https://a.example"], "max_age": 5}})
    )
    assert cors_settings(project, local=True) == {
        "CORS_ORIGINS": ["loopback", "https://a.example"],
        "CORS_MAX_AGE": 5,
    }
    assert cors_settings(project, local=False)["CORS_ORIGINS"] == ["*", "https://a.example"]


def test_cookies_of_other_origins_are_refused(tmp_path: Path) -> None:
    project = read(write(tmp_path, http={"cors": {"allow_credentials": True}}))
    with pytest.raises(ProjectError, match=r"'http\.cors\.allow_credentials' is not supported"):
        cors_settings(project, local=False)
