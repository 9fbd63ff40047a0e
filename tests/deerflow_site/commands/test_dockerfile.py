"""The Dockerfile and the compose file of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deerflow_site.commands.dockerfile import dockerfile, lines
from deerflow_site.project import ProjectError, read
from runs.version import VERSION
from tests.deerflow_site.project.test_reading import write


def made(folder: Path, **content: Any) -> str:
    return "\n".join(lines(read(write(folder, **content))))


def test_a_small_project(tmp_path: Path) -> None:
    text = made(tmp_path)
    assert text.startswith("FROM python:3.12-slim\n")
    for line in (
        f"RUN pip install --no-cache-dir deerflow-django=={VERSION}",
        "USER 10001:10001",
        "STOPSIGNAL SIGTERM",
        "COPY . .",
    ):
        assert line in text.splitlines()
    assert "HEALTHCHECK" in text and "exec deerflow serve" in text and "DEERFLOW_ENV_FILE=ignore" in text


def test_all_build_keys(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("httpx\n")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "pyproject.toml").write_text("[project]\nname = 'library'\n")
    text = made(
        tmp_path, python_version="3.13", image_distro="bookworm", pip_config_file="pip.conf", keep_pkg_tools=False,
        dockerfile_lines=["RUN apt-get update"], dependencies=[".", "./library", "langchain>=1"], pip_installer="uv",
    ).splitlines()  # fmt: skip
    order = [
        "FROM python:3.13-slim-bookworm", "COPY pip.conf /etc/pip.conf", "RUN apt-get update",
        "RUN uv pip install --system --no-cache 'langchain>=1'",
        "RUN uv pip install --system --no-cache -r requirements.txt", "COPY . .",
        "RUN uv pip install --system --no-cache ./library", "RUN pip uninstall --yes setuptools wheel pip",
    ]  # fmt: skip
    places = [text.index(line) for line in order]
    assert places == sorted(places)


def test_a_project_of_uv(tmp_path: Path) -> None:
    text = made(tmp_path, source={"kind": "uv", "root": ".", "package": "agent"})
    assert "uv export --frozen --no-dev --no-emit-local --directory . --package agent" in text


@pytest.mark.parametrize("content, said", [
    ({"base_image": "langchain/langgraph-api:3.12"}, "'base_image' langchain/langgraph-api:3.12 is LangGraph's own server"),
    ({"image_distro": "wolfi"}, "'image_distro' wolfi has no public image"),
    ({"dependencies": [".."]}, "'dependencies' names .., which is outside of the project."),
])  # fmt: skip
def test_what_cannot_be_built(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    (tmp_path / "project").mkdir()
    with pytest.raises(ProjectError) as caught:
        made(tmp_path / "project", **content)
    assert said in str(caught.value)


def test_the_files_are_written_once(tmp_path: Path) -> None:
    config = str(write(tmp_path, env={"A": "1"}))
    assert dockerfile(["--config", config]) == 0
    compose = (tmp_path / "compose.yaml").read_text()
    assert "NOSUPERUSER" in compose and "{path: .env, required: false}" in compose and "{{" not in compose
    assert ".env" in (tmp_path / ".dockerignore").read_text().splitlines()
    with pytest.raises(ProjectError, match=r"has Dockerfile and .dockerignore and compose.yaml already"):
        dockerfile(["--config", config])
    assert dockerfile(["--config", config, "--force"]) == 0
