"""The runs of a thread that people rolled back or deleted: who, when, from where and why."""

from __future__ import annotations

from uuid import UUID

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from runs.models import RunAction
from threads.display import EMPTY, ago
from threads.redaction import redacted_text

#: The most records that a page shows.
MOST = 20
WORDS = {"delete": "deleted", "roll_back": "rolled back"}


def removed_runs(thread_id: UUID) -> SafeString | str:
    """The newest records of removals on a thread."""
    found = list(RunAction.objects.filter(thread_id=thread_id).order_by("-id")[:MOST])
    if not found:
        return EMPTY
    lines = (
        (
            each.run_id,
            WORDS.get(each.kind, each.kind),
            each.who,
            each.origin,
            ago(each.created_at),
            _why(each),
        )
        for each in found
    )
    return format_html(
        '<ul class="conversation">{}</ul>',
        format_html_join("", '<li dir="auto">Run {} {} by {} ({}) {}{}</li>', lines),
    )


def _why(record: RunAction) -> str:
    return f": {redacted_text(record.reason)}" if record.reason else f": {record.outcome}"
