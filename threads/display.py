"""Values as the admin's pages show them. All input from graphs and clients is escaped."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from threads.db import clock
from threads.redaction import redacted

#: The most characters of one JSON value on a page.
JSON_LIMIT = 64 * 1024
#: The most characters of an error in a table, and in its tooltip.
EXCERPT, TITLE = 80, 1000
EMPTY = "–"


def pretty(value: Any) -> SafeString | str:
    """Indented JSON without secrets, cut at `JSON_LIMIT`; the rest, which may be deep or long, is not formatted."""
    if value is None:
        return EMPTY
    parts: list[str] = []
    size = 0
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(redacted(value)):
        parts.append(part)
        size += len(part)
        if size > JSON_LIMIT:
            break
    # A JSON column of SQLite can hold a lone surrogate; a response cannot.
    text = "".join(parts)[:JSON_LIMIT].encode("utf-8", "backslashreplace").decode()
    cut = format_html('<p class="cut">Cut after {} KB.</p>', JSON_LIMIT // 1024) if size > JSON_LIMIT else ""
    return format_html('<pre class="payload" tabindex="0">{}</pre>{}', text, cut)


def badge(status: str, text: str = "") -> SafeString:
    """A status with its colour, in other words if a text is given."""
    return format_html('<span class="status status-{}">{}</span>', status, text or status)


def short_id(value: UUID) -> str:
    """The last eight digits.

    The first ones of a UUIDv7 are a time, which neighbouring rows share.
    """
    return value.hex[-8:]


def link(page: str, pk: UUID | None, text: str = "") -> SafeString | str:
    """A link to a row's page, `app_model`, showing a text or the row's short id."""
    if pk is None:
        return EMPTY
    url = reverse(f"admin:{page}_change", args=[pk])
    return format_html('<a href="{}" title="{}">{}</a>', url, pk, text or short_id(pk))


def excerpt(error: Any) -> SafeString | str:
    """The beginning of a run's or a thread's error."""
    if not error:
        return EMPTY
    text = f"{error.get('error')}: {error.get('message')}" if isinstance(error, dict) else str(error)
    shown = text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"
    return format_html('<span class="excerpt" title="{}">{}</span>', text[:TITLE], shown)


def seconds(value: float) -> str:
    """A length of time in its largest unit."""
    if value < 1:
        return f"{max(value, 0) * 1000:.0f} ms"
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if value >= length:
            return f"{value / length:.{1 if value < 10 * length else 0}f} {unit}"
    return f"{value:.1f} s"


def span(start: datetime | None, end: datetime | None) -> str:
    """The time from `start` to `end`; to now if it has not ended."""
    return EMPTY if start is None else seconds(((end or clock.now()) - start).total_seconds())


def moment(value: datetime | None) -> SafeString | str:
    """A time to the second, and how long ago that is."""
    if value is None:
        return EMPTY
    return format_html(
        '<time datetime="{}">{}</time> ({})', value.isoformat(), _clock(value), _distance(value)
    )


def ago(value: datetime | None) -> SafeString | str:
    """How long ago; the tooltip shows the time."""
    if value is None:
        return EMPTY
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), _clock(value), _distance(value)
    )


def instant(value: datetime) -> SafeString:
    """The time of day to the millisecond; the tooltip shows the date."""
    clock = f"{timezone.localtime(value):%H:%M:%S.%f}"[:-3]
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), _clock(value), clock)


def _distance(value: datetime) -> str:
    passed = (clock.now() - value).total_seconds()
    return f"{seconds(passed)} ago" if passed >= 0 else f"in {seconds(-passed)}"


def _clock(value: datetime) -> str:
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S %Z}"
