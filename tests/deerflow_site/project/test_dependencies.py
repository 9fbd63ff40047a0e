"""`dependencies` of a langgraph.json."""

from __future__ import annotations

from importlib import metadata
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from deerflow_site.project import Project, ProjectError, read
from deerflow_site.project.dependencies import (
    find_missing,
    import_paths,
    package_of,
    require,
    requirement_lines,
    requirements,
)
from tests.deerflow_site.project.test_reading import write


def project(folder: Path, *dependencies: str, **content: Any) -> Project:
    return read(write(folder, dependencies=list(dependencies), **content))


def test_what_is_missing_is_said_with_one_command(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "# ours\n-r more.txt\nhttpx\nno-such-package[extra]>=2 # why\nabsent; python_version < '3'\n"
    )
    wanted = project(tmp_path, ".", "another-missing", "django>=99", "git+https://example.com/a.git")
    with pytest.raises(ProjectError) as caught:
        require(wanted)
    said = str(caught.value)
    assert said.startswith("langgraph.json: 'dependencies' need another-missing, django>=99 (installed is ")
    assert "and no-such-package[extra]>=2: install them with `" in said
    assert said.endswith("install another-missing 'django>=99' 'no-such-package[extra]>=2'`.") or (
        " another-missing 'django>=99' 'no-such-package[extra]>=2'`." in said
    )


def test_a_lock_like_file_is_read() -> None:
    content = (
        "langchain==1.2.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\r\n"
        "    # via -r requirements.in\nhttpx==1 --hash=sha256:cc\n./libs/mine\n../theirs[extra]\nmade.whl\n"
        "https://example.com/a.zip\nmine @ https://example.com/b.zip\n-e .\n--index-url x\n\n# end"
    )
    assert list(requirement_lines(content)) == [
        "langchain==1.2.0",
        "httpx==1",
        "mine @ https://example.com/b.zip",
    ]


def test_a_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("httpx".encode("utf-16"))
    with pytest.raises(ProjectError, match=r"requirements\.txt cannot be read"):
        require(project(tmp_path, "."))


def test_an_extra_whose_packages_are_missing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = ["h11", "no-such-package>=1; extra == 'more'", "httpx; extra == 'less'"]
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    assert list(find_missing(project(tmp_path, "httpx"))) == []
    assert list(find_missing(project(tmp_path, "httpx[less]"))) == []
    [missing] = find_missing(project(tmp_path, "httpx[less,more]"))
    assert str(missing.requirement) == "httpx[less,more]" and missing.installed == version("httpx")


def test_packages_of_modules_are_guessed() -> None:
    assert [package_of(name).requirement.name for name in ("yaml", "my_tools.parts")] == [
        "pyyaml",
        "my-tools",
    ]


def test_what_is_installed_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "x"\ndependencies = ["httpx=={version("httpx")}"]\n'
    )
    found = project(tmp_path, ".", "langgraph")
    assert [each.name for each in requirements(found)] == ["langgraph", "httpx"]
    assert list(find_missing(found)) == []
    require(found)


@pytest.mark.parametrize("dependency, said", [
    ("./nowhere", "'dependencies' names ./nowhere, which is not a folder."),
    ("two words", "'dependencies' has 'two words', which is not a requirement like 'langchain>=1'."),
])  # fmt: skip
def test_wrong_dependencies_are_named(tmp_path: Path, dependency: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said.replace(".", r"\.")):
        require(project(tmp_path, dependency))


def test_local_folders_become_importable(tmp_path: Path) -> None:
    for name in ("plain", "package", "sources/src"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").touch()
    paths = import_paths(project(tmp_path, "./plain", "./package", "./sources"))
    assert [str(Path(path).relative_to(tmp_path)) for path in paths] == [
        "plain", ".", "package", "sources/src", "sources",
    ]  # fmt: skip
