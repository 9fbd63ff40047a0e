"""Which requests are the API's, and which the site's."""

from __future__ import annotations

from typing import Any

import pytest

from runs.server.site import dispatched


@pytest.mark.parametrize(
    ("path", "is_of_api"),
    [
        ("/threads/search", True),
        ("/ok", True),
        ("/nonsense", True),
        ("/threads/1/nonsense", True),
        ("/chat/", False),
        ("/admin/", False),
        ("/static/runs/js/theme.js", False),
        ("/static/nonsense", False),
    ],
)
@pytest.mark.parametrize("root", ["", "/agents"])
def test_static_files_and_pages_are_the_sites(root: str, path: str, is_of_api: bool) -> None:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": root + path, "root_path": root}
    assert dispatched(scope) is is_of_api
