"""Write the reference of all settings: `manage.py settings_reference > docs/configuration.md`."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand

from runs import conf
from runs.checks.configuration import MAY_BE_ZERO

INTRODUCTION = """# Configuration

This page is generated: `manage.py settings_reference > docs/configuration.md`. A test fails when it is out of date.

Everything that runs agents is set in the dictionary `RUNS` of Django's settings. The example site fills `RUNS`, and
Django's own settings, from environment variables. `manage.py check` reports unknown names, values that are not allowed,
and values that contradict each other.

Without any variable, the site is in local development: it serves loopback hosts only, `DEBUG` is on, a generated secret
is kept in `DATA_DIR`, and requests without credentials act as one built-in local user ([identity](topics/identity.md)).
Settings that need more explanation have their own pages: [store](topics/store.md),
[crons and webhooks](topics/crons-and-webhooks.md), [limits](topics/identity.md#limits), [operations](operations.md)."""
SETTINGS = """## Settings

Defined in [runs/conf.py](../runs/conf.py). Times are in seconds and sizes in bytes unless the meaning says otherwise."""
ENVIRONMENT = """## Environment variables

Read by [deerflow_site/settings.py](../deerflow_site/settings.py). Defaults are shown as written there;
`LOCAL_DEVELOPMENT` means that `SECRET_KEY` is not set. Lists are separated by commas. Truth values are `true` or
`false`, `1` or `0`, `yes` or `no`, `on` or `off`. The demo agent reads further variables
([quickstart](quickstart.md#the-demo-agent))."""

#: Environment variables that set something other than an entry of `RUNS`.
VARIABLES = {
    "DATA_DIR": "Folder of the SQLite files, the generated secret and the collected static files.",
    "DEERFLOW_DEV": "Set by `deerflow dev`: local development, also with a `SECRET_KEY`.",
    "SECRET_KEY": "Django's secret key. Setting it ends local development: requests then need credentials.",
    "DEBUG": "Django's debug mode.",
    "ALLOWED_HOSTS": "Hosts that the site answers.",
    "DATABASE_URL": "`postgresql://user:password@host/name`, or SQLite. A PostgreSQL database must have the encoding UTF8.",
    "DATABASE_POOL": "Largest number of PostgreSQL connections for the admin's pages, per process. A process also opens up "
    "to 12 for requests and runs, 10 for checkpoints, one to listen and one to keep its lease.",
    "LOG_LEVEL": "Level of the log on stderr.",
    "BEHIND_PROXY": "Whether to trust `X-Forwarded-Proto`. The proxy must set this header itself. Outside local development.",
    "SECURE_COOKIES": "Whether cookies are sent over HTTPS only. Outside local development.",
    "SSL_REDIRECT": "Whether pages that are requested over HTTP redirect to HTTPS. Outside local development.",
    "HSTS_SECONDS": "How long browsers remember to use HTTPS. Outside local development.",
}
READERS = {"env", "env_bool", "env_number", "env_list", "env_prices"}
KINDS = {
    "bool": "`True` or `False`",
    "str": "text",
    "str | Path": "path",
    "tuple[str, ...]": "list of texts",
    "tuple[int, ...]": "list of numbers",
    "dict[str, Any]": "dictionary",
    "dict[str, str]": "dictionary",
}


class Command(BaseCommand):
    help = "Write the reference of all settings and environment variables to stdout, as Markdown."
    # The command only reads source code.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        spec = find_spec(os.environ["DJANGO_SETTINGS_MODULE"])
        if spec is None or spec.origin is None:
            raise FileNotFoundError(os.environ["DJANGO_SETTINGS_MODULE"])
        self.stdout.write(reference(Path(spec.origin).read_text()), ending="")


class Setting(NamedTuple):
    name: str
    kind: str
    default: str
    meaning: str


class Variable(NamedTuple):
    name: str
    default: str
    #: Entries of RUNS that it sets.
    sets: tuple[str, ...]


def reference(site: str) -> str:
    """Return the page, given the source of the site's settings module."""
    known, variables = list(settings()), environment(site)
    sources = {entry: variable.name for variable in variables for entry in variable.sets}
    rows = [
        (
            f"`{each.name}`",
            f"`{each.default}`",
            _allowed(each),
            f"`{sources[each.name]}`" if each.name in sources else "",
            each.meaning,
        )
        for each in known
    ]
    by_environment = [(f"`{each.name}`", f"`{each.default}`", _meaning(each)) for each in variables]
    parts = (
        INTRODUCTION,
        SETTINGS,
        _table(("setting", "default", "allowed", "variable", "meaning"), rows),
        ENVIRONMENT,
        _table(("variable", "default", "meaning"), by_environment),
    )
    return "\n\n".join(parts) + "\n"


def settings() -> Iterator[Setting]:
    """Each setting with its `#:` comment, in the order of the source."""
    source = inspect.getsource(conf)
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    declared = next(node for node in classes if node.name == "RunSettings")
    described = ""
    for node in declared.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            name, comment = node.target.id, _comment_above(source, node.lineno)
            # A comment applies to all settings below it, up to the next comment.
            described = name if comment else described
            meaning = comment or f"See `{described}`."
            yield Setting(name, ast.unparse(node.annotation), _source(source, node.value), meaning)


def environment(site: str) -> list[Variable]:
    """The environment variables that a settings module reads, in the order of its source."""
    tree = ast.parse(site)
    found = {call: Variable(*_read(site, call), ()) for node in ast.walk(tree) if (call := _reading(node))}
    for entry, value in _entries(tree):
        for node in ast.walk(value):
            if call := _reading(node):
                found[call] = found[call]._replace(sets=(entry,))
    merged: dict[str, Variable] = {}
    for call in sorted(found, key=lambda call: (call.lineno, call.col_offset)):
        variable = found[call]
        before = merged.setdefault(variable.name, variable)
        merged[variable.name] = before._replace(sets=before.sets or variable.sets)
    return list(merged.values())


def _reading(node: ast.AST) -> ast.Call | None:
    """A call that reads a variable by its name."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in READERS):
        return None
    return node if node.args and isinstance(node.args[0], ast.Constant) else None


def _read(source: str, call: ast.Call) -> tuple[str, str]:
    """The name and the default of a variable."""
    assert isinstance(call.args[0], ast.Constant)
    given = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    return str(call.args[0].value), _source(source, given[0]) if given else '""'


def _entries(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The entries of the dictionary `RUNS`."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "RUNS":
            assert isinstance(node.value, ast.Dict)
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value


def _source(source: str, node: ast.expr) -> str:
    """An expression's source text, because `ast.unparse` differs between Python versions."""
    return ast.get_source_segment(source, node) or ""


def _comment_above(source: str, number: int) -> str:
    """The `#:` comment that ends on the line before."""
    parts: list[str] = []
    for line in reversed(source.splitlines()[: number - 1]):
        text = line.strip()
        if not text.startswith("#: "):
            break
        parts.insert(0, text.removeprefix("#: "))
    return " ".join(parts)


def _allowed(setting: Setting) -> str:
    if choices := conf.CHOICES.get(setting.name):
        return " or ".join(f"`{each}`" for each in choices)
    if setting.kind in KINDS:
        return KINDS[setting.kind]
    number = {"int": "integer", "float": "number"}[setting.kind]
    return f"{number}, {'0 or more' if setting.name in MAY_BE_ZERO else 'more than 0'}"


def _meaning(variable: Variable) -> str:
    if variable.sets:
        return " ".join(f'Sets `RUNS["{entry}"]`.' for entry in variable.sets)
    return VARIABLES.get(variable.name, "")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
