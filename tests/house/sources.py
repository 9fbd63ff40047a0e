"""The modules of the project, read from their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("deerflow_site", "runs", "threads")
#: Folders without modules of this project.
LEFT_OUT = {"migrations", "node_modules", "__pycache__"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file, with its import name."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def folder(self) -> str:
        """The module's package; a package is its own folder."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def functions(self) -> Iterator[tuple[Function, int]]:
        """Each function, and its number of lines."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node, (node.end_lineno or node.lineno) - node.lineno + 1


def read(root: Path, *packages: str) -> dict[str, Module]:
    """Return the modules of some packages below `root`, by their names."""
    modules = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            relative = path.relative_to(root)
            if LEFT_OUT.isdisjoint(relative.parts):
                name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
                text = path.read_text()
                modules[name] = Module(name, relative, text, ast.parse(text))
    return modules


def imported(module: Module, names: Mapping[str, Module]) -> set[str]:
    """Return the modules among `names` that a module imports, also inside its functions; not for type checking alone."""
    found: set[str] = set()
    for node in _executed(module.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in names else node.module)
    return found & names.keys() - {module.name}


def unexplained(module: Module) -> Iterator[int]:
    """The lines of imports inside functions without a comment above or beside them.

    The first of adjacent ones.
    """
    lines = module.text.splitlines()
    for function, _ in module.functions():
        inner = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
        for number in (node.lineno for node in inner[:1]):
            beside = lines[number - 1].replace("# noqa", "")
            if not lines[number - 2].lstrip().startswith("#") and "# " not in beside:
                yield number


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _executed(other)
        else:
            yield from _executed(child)
