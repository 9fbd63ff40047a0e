"""The modules that a page names are those that its script imports."""

from __future__ import annotations

from runs.pages.modules import STATIC, modules_of

CHAT = "runs/js/chat/main.js"


def test_modules_are_found_through_those_that_import_them() -> None:
    found = modules_of(CHAT)
    assert {"runs/js/chat/session.js", "runs/js/protocol/messages.js", "runs/vendor/marked.js"} <= set(found)
    assert CHAT not in found
    assert len(set(found)) == len(found)
    assert all((STATIC / name).is_file() for name in found)


def test_what_is_loaded_on_demand_is_not_among_them() -> None:
    assert not any("vendor/highlight/" in name for name in modules_of(CHAT))
