"""What graphs and models have left does not keep an orphan from ending."""

from __future__ import annotations

from typing import Any

import pytest

from runs.lifecycle.cancellation import cancel
from runs.lifecycle.orphan_settlement import fail_orphan
from runs.models import CancelAction, Run
from tests.support.rows import make_run, orphan, say_usage

pytestmark = pytest.mark.django_db(transaction=True)
FOREIGN = [
    {"input_tokens": -1, "output_tokens": 2},
    {"input_tokens": 2**62, "output_tokens": 2**62},
    {"input_tokens": None, "output_tokens": "many"},
    {"total_tokens": 3},
    ["no", "object"],
    5,
]


@pytest.mark.parametrize("usage", FOREIGN)
def test_an_orphan_ends_whatever_its_models_said(usage: Any) -> None:
    run = orphan()
    say_usage(run, usage)
    assert fail_orphan(run)
    row = Run.objects.select_related("thread").get(id=run.id)
    assert (row.status, row.thread.status) == ("error", "error")
    assert row.error["error"] == "WorkerLost"
    assert 0 <= row.input_tokens < 2**31


@pytest.mark.parametrize("usage", FOREIGN)
def test_a_run_between_its_attempts_is_cancelled_whatever_its_models_said(usage: Any) -> None:
    run = make_run(attempt=1, epoch=1)
    say_usage(run, usage)
    cancel(run.id, action=CancelAction.INTERRUPT)
    row = Run.objects.select_related("thread").get(id=run.id)
    assert (row.status, row.thread.status) == ("interrupted", "interrupted")
