"""The Dockerfile and the compose file of a project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deerflow_site.commands.dockerfile import dockerfile, lines
from deerflow_site.project import ProjectError, read
from runs.version import VERSION
from tests.deerflow_site.project.test_reading import write
from tests.reloads.dev import ROOT


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


def test_a_wheel_of_the_projects_folder(tmp_path: Path) -> None:
    config = str(write(tmp_path))
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a-1.whl").touch()
    assert dockerfile(["--config", config, "--wheel", str(tmp_path / "dist" / "a-1.whl")]) == 0
    text = (tmp_path / "Dockerfile").read_text().splitlines()
    assert "COPY dist/a-1.whl /wheels/" in text and "RUN pip install --no-cache-dir /wheels/a-1.whl" in text
    for wrong in ("missing.whl", config, __file__):
        with pytest.raises(ProjectError, match="--wheel must name a wheel below"):
            dockerfile(["--config", config, "--force", "--wheel", wrong])


@pytest.mark.parametrize("line", ["-e .", "-r base.txt", "--constraint c.txt", "./library", "a.whl"])
def test_requirements_that_need_files_are_installed_with_the_code(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"httpx\n{line}\n")
    text = made(tmp_path, dependencies=["."]).splitlines()
    assert "COPY requirements.txt requirements.txt" not in text
    assert text.index("RUN pip install --no-cache-dir -r requirements.txt") > text.index("COPY . .")


@pytest.mark.parametrize("kept, removed", [
    (True, None), (False, "setuptools wheel pip"), (["pip"], "setuptools wheel"), (["setuptools", "wheel"], "pip"),
])  # fmt: skip
def test_packaging_tools(tmp_path: Path, kept: Any, removed: str | None) -> None:
    found = [line for line in made(tmp_path, keep_pkg_tools=kept).splitlines() if "uninstall" in line]
    assert found == ([f"RUN pip uninstall --yes {removed}"] if removed else [])


def hadolint(file: Path) -> str:
    """What the linter says about a Dockerfile; "" if all is well.

    Installations that follow each other (DL3059) are layers of their own, because they change at different times.
    """
    binary = Path(sys.executable).with_name("hadolint")
    return subprocess.run(
        [binary, "--no-color", "--ignore", "DL3059", file], capture_output=True, text=True, check=False
    ).stdout


def test_the_files_pass_the_linter(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("httpx\n")
    config = str(
        write(
            tmp_path, dependencies=[".", "langchain>=1"], dockerfile_lines=["ENV A=1"], keep_pkg_tools=False
        )
    )
    dockerfile(["--config", config])
    assert hadolint(tmp_path / "Dockerfile") == ""
    assert hadolint(ROOT / "Dockerfile") == ""
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /tmp\n")
    assert "DL3006" in hadolint(tmp_path / "Dockerfile")


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
