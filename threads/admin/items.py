"""Store items in the admin, read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from threads.admin.base import BY_USERNAME, ChoiceFilter, ReadOnlyAdmin, column
from threads.db import clock
from threads.db.namespaces import below, decode
from threads.db.values.text import is_text
from threads.display import ago, moment, pretty
from threads.models import StoreItem


class ExpiryFilter(ChoiceFilter):
    title = "expiry"
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("never", "Never"), ("later", "Later"), ("over", "Expired")]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if value == "never":
            return queryset.filter(expires_at__isnull=True)
        now = clock.now()
        return queryset.filter(**{"expires_at__gt" if value == "later" else "expires_at__lte": now})


def shown_namespace(text: str) -> str:
    """The namespace as clients write it: labels joined by periods."""
    return ".".join(decode(text))


@admin.register(StoreItem)
class StoreItemAdmin(ReadOnlyAdmin):
    list_display = ("shown_key", "place", "user", "updated", "expires")
    list_display_links = ("shown_key",)
    list_filter = (ExpiryFilter,)
    list_select_related = ("user",)
    list_defer = ("value", "vectors")
    ordering = ("-id",)
    sortable_by = ()
    search_help_text = "The beginning of a namespace, such as users.7 (whole labels), or a username."
    fieldsets = (
        (None, {"fields": ("shown_key", "place", "user")}),
        ("Value", {"fields": ("value_json",)}),
        ("Time", {"fields": (("created_full", "updated_full"), "expires_full")}),
        ("Search", {"fields": ("embedding",)}),
    )

    payload_fieldsets = frozenset({"Value"})

    shown_key = column("key", str, "key")
    place = column("namespace", shown_namespace, "namespace")
    updated = column("updated_at", ago, "updated")
    expires = column("expires_at", ago, "expires")
    created_full = column("created_at", moment, "created")
    updated_full = column("updated_at", moment, "updated")
    expires_full = column("expires_at", moment, "expires")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("vectors")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match whole labels of the namespace, as clients write it, or the user's whole name."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if not is_text(text):
            return queryset.none(), False
        wanted = Q(**{BY_USERNAME: text})
        if bounds := below([label for label in text.split(".") if label]):
            wanted |= Q(namespace__gte=bounds[0], namespace__lt=bounds[1])
        return queryset.filter(wanted), False

    @admin.display(description="value")
    def value_json(self, item: StoreItem) -> SafeString | str:
        return pretty(item.value)
