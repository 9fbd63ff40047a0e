"""The pages' files: third-party ones match their checksums, and imports have targets."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from django.core.management import call_command
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


def test_whoever_acts_on_enter_in_a_field_asks_whether_it_composes_text() -> None:
    """Enter also confirms Japanese and Chinese text; browsers tell it in two ways, of which `composes` knows."""
    scripts = {path.name: path.read_text() for path in (STATIC / "js").rglob("*.js")}
    acting = {name for name, text in scripts.items() if '.key === "Enter"' in text}
    assert {"composer.js", "human.js", "suggestions.js", "events.js"} <= acting
    assert [name for name in acting if "composes(event)" not in scripts[name]] == []
    assert [name for name, text in scripts.items() if "event.isComposing" in text] == []


#: What a collected file refers to: static and dynamic imports, `export … from`, and `url()` of CSS.
REFERENCES = {
    ".js": re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']+)["']"""),
    ".css": re.compile(r"""(?:\burl\(\s*["']?|@import\s*["'])([^"')#][^"')]*)"""),
}


def collected(folder: Path, backend: str) -> set[str]:
    """The names of this application's files that a storage has made."""
    storages = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": backend},
    }
    with override_settings(STATIC_ROOT=folder, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
    names = json.loads((folder / "staticfiles.json").read_text())["paths"]
    assert {"runs/js/chat/main.js", "runs/css/chat.css"} <= names.keys()
    return {hashed for name, hashed in names.items() if name.startswith("runs/")}


def plain_references(folder: Path, names: set[str]) -> list[str]:
    """References of these files to names that are none of them."""
    found = []
    for name in sorted(names):
        path = folder / name
        pattern = REFERENCES.get(path.suffix)
        for target in pattern.findall(path.read_text()) if pattern else ():
            if target.startswith("data:"):
                continue
            meant = os.path.normpath(path.parent / target)
            if Path(meant).relative_to(folder).as_posix() not in names:
                found.append(f"{name}: {target}")
    return found


def test_collected_files_refer_to_each_other_by_names_of_their_content(tmp_path: Path) -> None:
    names = collected(tmp_path, "runs.pages.static_files.ModuleStaticFilesStorage")
    assert plain_references(tmp_path, names) == []
    seen = [
        target
        for name in names
        if name.endswith(".js")
        for target in REFERENCES[".js"].findall((tmp_path / name).read_text())
    ]
    assert len(seen) > 50


def test_djangos_own_storage_leaves_imports_alone(tmp_path: Path) -> None:
    """What the check warns of (`runs.W012`); the same look finds it."""
    names = collected(tmp_path, "django.contrib.staticfiles.storage.ManifestStaticFilesStorage")
    found = plain_references(tmp_path, names)
    assert any("../parts/banner.js" in each for each in found)
    assert any("vendor/highlight/python.js" in each for each in found)


@pytest.mark.parametrize(
    ("suffix", "line", "target"),
    [
        (".js", 'import { a,\n b } from "./a.js";', "./a.js"),
        (".js", 'import "./a.js";', "./a.js"),
        (".js", 'const load = () => import("../a.js");', "../a.js"),
        (".js", 'export { a } from "./a.js";', "./a.js"),
        (".js", 'export * from "./a.js";', "./a.js"),
        (".css", 'a { background: url("../a.png"); }', "../a.png"),
        (".css", "a { background: url(a.png); }", "a.png"),
        (".css", '@import "a.css";', "a.css"),
    ],
)
def test_references_of_all_kinds_are_seen(suffix: str, line: str, target: str) -> None:
    assert REFERENCES[suffix].findall(line) == [target]
