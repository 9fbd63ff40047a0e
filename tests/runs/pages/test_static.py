"""The pages' files: third-party ones match their checksums, and imports have targets."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from django.test import override_settings

from runs import pages
from tests.browser.vendor import FOLDER, VERSIONS, without_map

STATIC = Path(pages.__file__).parents[1] / "static" / "runs"
IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""")


def test_files_of_others_are_what_their_checksums_say() -> None:
    packages = json.loads(VERSIONS.read_text())
    known = {FOLDER / name: file["sha256"] for package in packages for name, file in package["files"].items()}
    there = {path for path in FOLDER.rglob("*") if path.is_file() and path != VERSIONS}
    assert there == known.keys()
    for path, digest in known.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, path
    assert all(package["licence"] and package["integrity"].startswith("sha512-") for package in packages)


def test_a_source_map_that_is_not_here_is_not_named() -> None:
    assert without_map(b"a;\n//# sourceMappingURL=a.js.map\n") == b"a;\n"


def test_every_import_leads_to_a_file() -> None:
    scripts = [path for path in STATIC.rglob("*.js") if FOLDER not in path.parents]
    found = [(path, target) for path in scripts for target in IMPORT.findall(path.read_text())]
    assert len(found) > 50
    for path, target in found:
        assert (path.parent / target).resolve().is_file(), f"{path.name} imports {target}"


def test_files_can_be_collected_under_names_of_their_content(tmp_path: Path) -> None:
    from django.core.management import call_command

    storages = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    with override_settings(STATIC_ROOT=tmp_path, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
    names = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    assert {"runs/js/chat/main.js", "runs/css/chat.css"} <= names.keys()


def test_a_page_names_every_module_that_it_loads() -> None:
    """A module that the page does not name is only requested after those that import it."""
    static = re.compile(r"""^import (?:[^;]*? from )?["'](\.[^"']+)["']""", re.MULTILINE)
    loaded: set[Path] = set()
    found = [STATIC / "js" / "chat" / "main.js"]
    while found:
        path = found.pop()
        if path not in loaded:
            loaded.add(path)
            found += [(path.parent / target).resolve() for target in static.findall(path.read_text())]
    template = Path(pages.__file__).parents[1] / "templates" / "runs" / "chat_modules.html"
    named = re.findall(r"\{% static 'runs/([^']+)' %\}", template.read_text())
    assert sorted(named) == sorted(str(path.relative_to(STATIC)) for path in loaded if path.name != "main.js")
