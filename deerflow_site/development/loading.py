"""Imports a project's code and says what is wrong with it, for its author. Needs Django to be set up."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from django.core.checks import ERROR, run_checks

from deerflow_site.http import custom
from deerflow_site.project import Project, ProjectError, dependencies
from runs import graphs
from runs.graphs.loading import describe

#: Packages that are imported in a certain order, or only after Django's set-up.
OURS = frozenset(
    {"autobahn", "channels", "daphne", "deerflow_site", "django", "ninja", "runs", "threads", "twisted"}
)


def problems(project: Project) -> list[str]:
    """Import the project's graphs, application, Auth file and embedding; return what failed."""
    found = [_of_graph(project, name, error) for name, error in graphs.load_all().items()]
    try:
        custom.application()
    except ProjectError as error:
        found.append(str(error))
    if not found:
        found = [
            f"{message.msg} {message.hint or ''}".strip()
            for message in run_checks(tags=["runs"])
            if message.level >= ERROR and not message.is_silenced()
        ]
    return found


def _of_graph(project: Project, name: str, error: Exception) -> str:
    cause = error.__cause__ or error
    where = f"{project.file.name}: 'graphs.{name}' ({project.graphs.get(name)})"
    said = f"{where} cannot be loaded: {describe(cause)}."
    if isinstance(cause, ModuleNotFoundError) and cause.name and _is_foreign(cause.name, project):
        command = dependencies.install_command([dependencies.package_of(cause.name)])
        said += f" Add its package to 'dependencies', and install it: `{command}`."
    if isinstance(cause, SyntaxError) and cause.text:
        said += f"\n    {cause.text.rstrip()}\n    {' ' * ((cause.offset or 1) - 1)}^"
    return said


def _is_foreign(module: str, project: Project) -> bool:
    """Whether a module that cannot be found is no part of the project."""
    top = module.partition(".")[0]
    return importlib.util.find_spec(top) is None and not any(project.folder.glob(f"**/{top}*"))


def installed_modules() -> list[str]:
    """The modules of installed packages that this process has imported."""
    paths = sysconfig.get_paths()
    installed = tuple({paths["purelib"], paths["platlib"]})
    return [
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in OURS
        and (getattr(module, "__file__", None) or "").startswith(installed)
    ]


def project_files() -> Iterator[str]:
    """The files of all other modules, which are the project's, except the standard library's and ours."""
    paths = sysconfig.get_paths()
    others = (paths["purelib"], paths["platlib"], paths["stdlib"], paths["platstdlib"])
    own = str(Path(__file__).parents[2])
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        ours = file.startswith(own) and name.partition(".")[0] in OURS
        if file.endswith(".py") and not file.startswith(others) and not ours:
            yield file
