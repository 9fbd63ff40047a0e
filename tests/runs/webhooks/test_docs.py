"""The instructions for receivers in docs/topics/crons-and-webhooks.md work."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from runs.webhooks.signing import headers

DOCS = Path(__file__).resolve().parents[3] / "docs" / "topics" / "crons-and-webhooks.md"
SECRET, OTHER = "whsec_" + "A" * 40, "whsec_" + "B" * 40


def receiver() -> Any:
    code = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[-1]
    names: dict[str, Any] = {}
    exec(code, names)
    return names["accepts"]


def test_the_receiver_of_the_documentation_knows_a_request_of_ours() -> None:
    accepts, body, now = receiver(), b'{"a": 1}', int(time.time())
    sent = headers("some-id", body, sent_at=now, secrets=[OTHER, SECRET])
    assert accepts(sent, body, SECRET) and accepts(sent, body, OTHER)
    assert not accepts(sent, body + b" ", SECRET)
    assert not accepts({**sent, "webhook-id": "another"}, body, SECRET)
    assert not accepts({**sent, "webhook-timestamp": str(now + 1)}, body, SECRET)
    assert not accepts(sent, body, "whsec_" + "C" * 40)
    old = headers("some-id", body, sent_at=now - 400, secrets=[SECRET])
    assert not accepts(old, body, SECRET)
