"""`dependencies` of a langgraph.json: local folders become importable, and missing packages are named."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from deerflow_site.project.errors import ProjectError
from deerflow_site.project.reading import Project

_CONTINUED = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"(?:^|\s)#.*")
#: Packages whose modules have other names.
_PACKAGES = {
    "PIL": "pillow", "bs4": "beautifulsoup4", "cv2": "opencv-python", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "fitz": "pymupdf", "sklearn": "scikit-learn", "yaml": "pyyaml",
}  # fmt: skip
_FILES = (".whl", ".tar.gz", ".zip")


@dataclass(frozen=True)
class Missing:
    """A requirement that the environment does not meet."""

    requirement: Requirement
    #: The version that is installed, if there is one.
    installed: str | None

    def __str__(self) -> str:
        return (
            f"{self.requirement} (installed is {self.installed})" if self.installed else str(self.requirement)
        )


def folders(project: Project) -> list[Path]:
    """The local folders among the dependencies. Raises ProjectError if there is no such folder."""
    given = [
        each
        for each in project.content.get("dependencies") or ()
        if each.startswith((".", "/")) or each == ""
    ]
    if project.part("source", "kind") == "uv":
        given.append(project.part("source", "root") or ".")
    found = []
    for each in given:
        folder = (project.folder / each).resolve()
        if not folder.is_dir():
            raise ProjectError(f"{project.file.name}: 'dependencies' names {each}, which is not a folder.")
        found.append(folder)
    return found


def import_paths(project: Project) -> list[str]:
    """Where the local folders' modules are imported from.

    A folder may be a package itself (then its parent), a project with the source in `src`, or hold modules.
    """
    paths = []
    for folder in folders(project):
        if (folder / "__init__.py").is_file():
            paths.append(folder.parent)
        elif (folder / "src").is_dir():
            paths.append(folder / "src")
        paths.append(folder)
    return list(dict.fromkeys(map(str, paths)))


def make_importable(project: Project) -> None:
    """Extend `sys.path`, at its end, so that no file hides an installed package."""
    sys.path += [path for path in import_paths(project) if path not in sys.path]


def require(project: Project) -> None:
    """Raise ProjectError if a package is missing; it names the one command that installs all of them."""
    missing = list(find_missing(project))
    if missing:
        raise ProjectError(
            f"{project.file.name}: 'dependencies' need {_joined(missing)}: "
            f"install {'them' if len(missing) > 1 else 'it'} with `{install_command(missing)}`."
        )


def _joined(missing: list[Missing]) -> str:
    names = [str(each) for each in missing]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def find_missing(project: Project) -> Iterator[Missing]:
    """What the dependencies require and the environment lacks."""
    seen: set[str] = set()
    for requirement in requirements(project):
        if requirement.name in seen or (
            requirement.marker and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        seen.add(requirement.name)
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Missing(requirement, None)
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            yield Missing(requirement, installed)
            continue
        if any(_lacks(each) for each in _of_extras(requirement)):
            yield Missing(requirement, installed)


def _of_extras(requirement: Requirement) -> Iterator[Requirement]:
    """What an installed distribution needs only because of the extras of a requirement."""
    for text in importlib.metadata.requires(requirement.name) or ():
        needed = Requirement(text)
        if (
            needed.marker
            and not needed.marker.evaluate({"extra": ""})
            and any(needed.marker.evaluate({"extra": extra}) for extra in requirement.extras)
        ):
            yield needed


def _lacks(requirement: Requirement) -> bool:
    try:
        return not requirement.specifier.contains(
            importlib.metadata.version(requirement.name), prereleases=True
        )
    except importlib.metadata.PackageNotFoundError:
        return True


def requirements(project: Project) -> Iterator[Requirement]:
    """The requirements of a project, from its langgraph.json and its folders' files. Raises ProjectError."""
    local = folders(project)
    for each in project.content.get("dependencies") or ():
        if each and not each.startswith((".", "/")) and not each.startswith(("git+", "http:", "https:")):
            yield _requirement(each, f"{project.file.name}: 'dependencies' has")
    for folder in local:
        yield from _of_folder(folder)


def _of_folder(folder: Path) -> Iterator[Requirement]:
    lines = folder / "requirements.txt"
    if lines.is_file():
        try:
            content = lines.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise ProjectError(f"{lines} cannot be read: {error}.") from None
        for text in requirement_lines(content):
            yield _requirement(text, f"{lines} has")
    described = folder / "pyproject.toml"
    if described.is_file():
        try:
            project = tomllib.loads(described.read_text(encoding="utf-8")).get("project") or {}
        except (ValueError, OSError) as error:
            raise ProjectError(f"{described} cannot be read: {error}.") from None
        for text in project.get("dependencies") or ():
            yield _requirement(text, f"{described} has")


def requirement_lines(content: str) -> Iterator[str]:
    """The requirements by name in a requirements file.

    Options, such as `-r`, `-e` and `--hash`, files and addresses are for the installer.
    """
    for line in _CONTINUED.sub(" ", content).splitlines():
        text = _COMMENT.sub("", line).partition(" --")[0].strip()
        named = text.partition("@")[0]
        is_file = text.startswith((".", "/", "~")) or named.endswith(_FILES) or "://" in named
        if text and not text.startswith("-") and not is_file:
            yield text


def _requirement(text: str, where: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise ProjectError(f"{where} {text!r}, which is not a requirement like 'langchain>=1'.") from None


def package_of(module: str) -> Missing:
    """The package that most likely has a module."""
    top = module.partition(".")[0]
    return Missing(Requirement(_PACKAGES.get(top, top.replace("_", "-"))), None)


def install_command(missing: list[Missing]) -> str:
    """The command that installs packages into this interpreter's environment."""
    wanted = [shlex.quote(str(each.requirement)) for each in missing]
    if shutil.which("uv") and os.environ.get("VIRTUAL_ENV") == sys.prefix:
        return " ".join(["uv pip install", *wanted])
    if importlib.util.find_spec("pip") is None:
        return " ".join(["uv pip install --python", shlex.quote(sys.executable), *wanted])
    return " ".join([shlex.quote(sys.executable), "-m pip install", *wanted])
