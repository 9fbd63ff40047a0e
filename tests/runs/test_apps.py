"""Where the application cannot be installed."""

from __future__ import annotations

import runpy
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from runs import apps


def test_on_windows_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ImproperlyConfigured, match="needs Linux or macOS: on Windows, use it in WSL"):
        runpy.run_path(str(apps.__file__))
