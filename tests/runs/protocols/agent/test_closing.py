"""Close codes: one table for the server, the documentation and the chat page."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from runs.protocols.agent.closing import CODES, LONGEST_REASON, Back, Code, reason, return_after_restart

ROOT = Path(__file__).resolve().parents[4]


def test_the_table_has_each_code_once_and_all_that_the_server_sends() -> None:
    codes = [each.code for each in CODES]
    assert len(codes) == len(set(codes))
    assert {int(code) for code in Code} <= set(codes)


def test_the_documentation_has_the_table() -> None:
    page = (ROOT / "docs/reference/protocol.md").read_text()
    rows = re.findall(r"^\| (\d{4}) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(str(int(each.code)), each.meaning, each.back.value) for each in CODES]


def test_the_page_comes_back_after_the_same_codes_and_times() -> None:
    """Only the page itself closes with 1000."""
    codes = [int(each.code) for each in CODES if each.code != 1000]
    reasons = [reason("Full.", retry_after=2.4), reason("Restarting.", retry_after=1), "Gone."]
    module = ROOT / "runs/static/runs/js/protocol/closing.js"
    script = f"""
        import {{ isFinal, told }} from {json.dumps(module.as_uri())};
        console.log(JSON.stringify([{codes}.filter(isFinal), {json.dumps(reasons)}.map(told)]));
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", script]
    final, times = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert final == [int(each.code) for each in CODES if each.back is Back.NEVER and each.code != 1000]
    assert times == [2400, 1000, None]


@pytest.mark.parametrize(
    ("text", "retry_after", "expected"),
    [
        ("The server is restarting.", 1.0, "The server is restarting. Retry after 1 s."),
        ("Full.", 2.34, "Full. Retry after 2.4 s."),
        ("Not yours.", None, "Not yours."),
        ("", None, ""),
    ],
)
def test_a_reason_ends_with_the_time(text: str, retry_after: float | None, expected: str) -> None:
    assert reason(text, retry_after=retry_after) == expected


@pytest.mark.parametrize("text", ["x" * 500, "€" * 500, "\N{GRINNING FACE}" * 500])
def test_a_reason_fits_into_a_close_frame_with_its_time(text: str) -> None:
    said = reason(text, retry_after=5)
    assert LONGEST_REASON - 4 < len(said.encode()) <= LONGEST_REASON
    assert said.endswith(" Retry after 5 s.")
    assert len(reason(text).encode()) <= LONGEST_REASON


def test_the_clients_of_a_full_process_come_back_one_after_the_other() -> None:
    assert return_after_restart(5000, draw=0) == 1
    assert return_after_restart(5000, draw=1) == 26
    assert return_after_restart(1, draw=1) == pytest.approx(1.005)
    assert len({return_after_restart(5000) for _ in range(100)}) > 90
