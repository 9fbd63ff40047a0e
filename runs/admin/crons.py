"""Crons in the admin: view, enable, disable and fire them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from runs.api.schemas.crons import shown_payload
from runs.crons.editing import set_enabled
from runs.crons.firing import fire
from runs.crons.schedules import InvalidSchedule, next_time
from runs.lifecycle.records import Operator
from runs.models import Cron
from runs.models.cron import CronQuerySet
from runs.process.current import notify_cancelled, ring
from runs.process.wakeups import CRONS, WORK
from threads.admin.base import BY_USERNAME, ChoiceFilter, ReadOnlyAdmin, column
from threads.display import EMPTY, TITLE, ago, badge, link, moment, pretty, short_id

#: Maximum crons of one action, because the operator waits for the page.
LIMIT = 100
#: How many of its next times a cron's page shows.
SHOWN = 5


class EnabledFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("enabled", "Enabled"), ("disabled", "Disabled"), ("failing", "Failing")]

    def narrow(self, queryset: Any, value: str) -> Any:
        if value == "failing":
            return queryset.filter(last_error__isnull=False)
        return queryset.filter(enabled=value == "enabled")


@admin.register(Cron)
class CronAdmin(ReadOnlyAdmin):
    list_display = (
        "state", "short", "schedule", "timezone", "next_date", "graph", "user", "thread_link", "fired", "run_link", "why",
    )  # fmt: skip
    list_display_links = ("short",)
    list_filter = (EnabledFilter,)
    list_select_related = ("assistant", "user")
    list_defer = ("payload", "metadata")
    ordering = ("-created_at", "-id")
    sortable_by = ("next_date",)
    search_ids = ("pk", "thread", "assistant")
    search_texts = (BY_USERNAME,)
    search_help_text = "Full id of a cron, a thread or an assistant (or several), or a username."
    actions = ("enable", "disable", "fire_now")
    fieldsets = (
        (None, {"fields": ("state", "id", "schedule", "timezone", "graph", "user", "thread_link", "why")}),
        ("Time", {"fields": ("next_times", "ends", "fired_full", "run_link", "created", "updated")}),
        ("Request", {"fields": ("on_run_completed", "payload_json", "metadata_json")}),
    )

    payload_fieldsets = frozenset({"Request"})

    short = column("id", short_id, "cron")
    next_date = column("next_run_date", ago, "next", ordering="next_run_date")
    ends = column("end_time", moment, "ends")
    fired = column("last_fired_at", ago, "fired")
    fired_full = column("last_fired_at", moment, "fired last")
    created = column("created_at", moment, "created")
    updated = column("updated_at", moment, "updated")
    thread_link = column("thread_id", lambda pk: link("threads_thread", pk), "thread")
    run_link = column("last_run_id", lambda pk: link("runs_run", pk), "last run")
    why = column("last_error", lambda error: (error or EMPTY)[:TITLE], "last error")
    graph = column(
        "assistant", lambda assistant: link("runs_assistant", assistant.pk, assistant.name), "assistant"
    )
    payload_json = column("payload", lambda payload: pretty(shown_payload(payload)), "request")
    metadata_json = column("metadata", pretty, "metadata")

    @admin.display(description="state")
    def state(self, cron: Cron) -> str:
        if not cron.enabled:
            return badge("disabled")
        if cron.last_error is not None:
            return badge("error")
        return badge("ended" if cron.next_run_date is None else "enabled")

    @admin.display(description="next times")
    def next_times(self, cron: Cron) -> SafeString | str:
        """The next times of its schedule."""
        if not cron.enabled or cron.next_run_date is None:
            return EMPTY
        times = [cron.next_run_date]
        # One that is no longer valid is switched off, and says why, when it is due.
        with suppress(InvalidSchedule):
            while len(times) < SHOWN and (later := next_time(cron.schedule, cron.timezone, after=times[-1])):
                times.append(later)
        kept = [each for each in times if cron.end_time is None or each <= cron.end_time]
        return format_html_join(mark_safe("<br>"), "{}", ((moment(each),) for each in kept)) or EMPTY

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        cron = kwargs.get("obj")
        if cron is not None and self.has_operate_permission(request):
            switch = ("disable", "Disable") if cron.enabled else ("enable", "Enable")
            context["row_actions"] = [("fire_now", "Run now"), switch]
        return super().render_change_form(request, context, *args, **kwargs)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("runs.operate_run"))

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: CronQuerySet) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Disable", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: CronQuerySet) -> None:
        self._switch(request, queryset, enabled=False)

    def _switch(self, request: HttpRequest, queryset: CronQuerySet, *, enabled: bool) -> None:
        word = "Enabled" if enabled else "Disabled"
        changed = [cron for cron in queryset[:LIMIT] if set_enabled(cron.id, enabled=enabled)]
        ring(CRONS)
        self._say(request, word, changed)

    @admin.action(description="Run now, outside of the schedule", permissions=["operate"])
    def fire_now(self, request: HttpRequest, queryset: CronQuerySet) -> None:
        done: list[Cron] = []
        user: Any = request.user
        by = Operator(str(user), "admin", user.pk)
        for cron in queryset[:LIMIT]:
            try:
                fired = fire(cron.id, by=by)
            except DatabaseError as error:
                self.message_user(request, f"Cron {cron}: {error}", messages.ERROR)
                continue
            if fired is None:
                continue
            if fired.admitted is None:
                self.message_user(request, f"Cron {cron}: {fired.error}", messages.ERROR)
                continue
            done.append(cron)
            for run_id in fired.admitted.concerned:
                notify_cancelled(run_id)
        ring(WORK)
        self._say(request, "Fired", done)

    def _say(self, request: HttpRequest, word: str, done: list[Cron]) -> None:
        user: Any = request.user
        if done:
            LogEntry.objects.log_actions(user.pk, done, CHANGE, word)
        level = messages.SUCCESS if done else messages.WARNING
        self.message_user(request, f"{word} {len(done)} cron{'s' if len(done) != 1 else ''}.", level)
