"""Webhooks in the admin: view deliveries, and send failed ones again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from runs.models import DeliveryState, WebhookDelivery
from runs.webhooks.announcements import wake
from runs.webhooks.outbox import try_again
from threads.admin.base import BY_USERNAME, ChoiceFilter, CreatedFilter, ReadOnlyAdmin, column
from threads.display import EMPTY, EXCERPT, TITLE, ago, badge, link, moment, pretty, short_id
from threads.redaction import redacted_text

#: Maximum deliveries of one action.
LIMIT = 1000


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return DeliveryState.choices

    def narrow(self, queryset: Any, value: str) -> Any:
        return queryset.filter(state=value)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "status",
        "short",
        "host",
        "run_link",
        "user",
        "attempts",
        "status_code",
        "created",
        "due",
        "error",
    )
    list_display_links = ("short",)
    list_filter = (StateFilter, CreatedFilter)
    list_select_related = ("user",)
    list_defer = ("payload",)
    ordering = ("-id",)
    sortable_by = ()
    search_ids = ("pk", "run_id")
    search_texts = ("host__icontains", BY_USERNAME)
    search_help_text = "Full id of a delivery or a run (or several), part of a host's name, or a username."
    actions = ("send_again",)
    fieldsets = (
        (None, {"fields": ("status", "id", "address", "run_link", "thread_link", "user")}),
        ("Attempts", {"fields": ("attempts", "status_code", "error_full", "due_full")}),
        ("Time", {"fields": ("created_full", "finished")}),
        ("Body", {"fields": ("payload_json",), "classes": ("collapse",)}),
    )

    payload_fieldsets = frozenset({"Body"})

    # Uses the colours of run statuses.
    status = column(
        "state", lambda state: badge({"delivered": "success", "failed": "error"}.get(state, state)), "state"
    )
    short = column("id", short_id, "delivery")
    run_link = column("run_id", lambda pk: link("runs_run", pk), "run")
    thread_link = column("thread_id", lambda pk: link("threads_thread", pk), "thread")
    created = column("created_at", ago, "created")
    created_full = column("created_at", moment, "created")
    finished = column("finished_at", moment, "finished")
    address = column("url", redacted_text, "url")
    due_full = column("due_at", moment, "due")
    error = column("last_error", lambda error: (error or EMPTY)[:EXCERPT], "last error")
    error_full = column("last_error", lambda error: (error or EMPTY)[:TITLE], "last error")
    payload_json = column("payload", pretty, "body")

    @admin.display(description="due")
    def due(self, delivery: WebhookDelivery) -> str:
        return ago(delivery.due_at) if delivery.state == DeliveryState.PENDING else EMPTY

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        delivery = kwargs.get("obj")
        if delivery is not None and self.has_operate_permission(request):
            failed = delivery.state == DeliveryState.FAILED
            context["row_actions"] = [("send_again", "Send again")] if failed else ()
            context["why_not_act"] = (
                "" if failed else f"Only failed ones are sent again: it is {delivery.state}."
            )
        return super().render_change_form(request, context, *args, **kwargs)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("runs.operate_run"))

    @admin.action(description="Try again", permissions=["operate"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        found = list(queryset.filter(state=DeliveryState.FAILED).defer("payload")[:LIMIT])
        count = try_again(WebhookDelivery.objects.filter(id__in=[each.id for each in found]))
        wake()
        user: Any = request.user
        if found:
            LogEntry.objects.log_actions(user.pk, found, CHANGE, "Tried again")
        text = f"{count} webhook{'s' if count != 1 else ''} will be sent again; only those that failed are."
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
