"""What the admin's read-only pages have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_permission_codename, get_user_model
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import cached_property

from threads.db import clock
from threads.display import short_id

#: The most rows that a list counts and pages through; filters and the search reach the others.
COUNTED = 10_000
BY_USERNAME = f"user__{get_user_model().USERNAME_FIELD}"
#: The permission to read what people and graphs wrote. One permission covers runs, threads and the rest,
#: because a thread's state is what its runs read and wrote.
READ_PAYLOADS = "runs.view_run_payload"
#: How long one record covers a person's reading of a row.
READING = timedelta(hours=1)
HIDDEN = f"Shown to people who have the permission {READ_PAYLOADS}."
READ_MESSAGE = "Read its contents."


class AtLeast(int):
    """A number of rows that are counted, of more that are not: pages print it with a plus."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


class BoundedPaginator(Paginator):
    """Counts at most the rows that can be paged through.

    Counting all of a large table takes seconds. A list whose rows are counted for another reason gives
    their number as `rows.counted`.
    """

    @property
    def most(self) -> int:
        """The most rows that are counted; if there are so many, there may be more."""
        return COUNTED

    @cached_property
    def count(self) -> int:  # type: ignore[override]
        rows: Any = self.object_list
        if (counted := getattr(rows, "counted", None)) is not None:
            return int(counted) if counted <= COUNTED else AtLeast(COUNTED)
        found = int(rows.order_by().values("pk")[: COUNTED + 1].count())
        return found if found <= COUNTED else AtLeast(COUNTED)


def _deletes_user(request: HttpRequest) -> bool:
    """Whether the request deletes users, and its user has the permission to."""
    options = get_user_model()._meta
    match = request.resolver_match
    place = f"{options.app_label}_{options.model_name}"
    permission = f"{options.app_label}.{get_permission_codename('delete', options)}"
    return (
        match is not None
        and match.url_name in (f"{place}_delete", f"{place}_changelist")
        and request.user.has_perm(permission)  # type: ignore[union-attr]
    )


class SparingChangeList(ChangeList):
    """Does not load large columns that the list does not show."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return super().get_queryset(*args, **kwargs).defer(*getattr(self.model_admin, "list_defer", ()))


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that people look at and never edit: the state machine is the only writer."""

    list_defer: tuple[str, ...] = ()
    #: Names of the fieldsets with what people and graphs wrote.
    payload_fieldsets: frozenset[str] = frozenset()
    #: What the search box looks up: UUIDs, and any other text.
    search_ids: tuple[str, ...] = ("pk",)
    search_texts: tuple[str, ...] = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("pk",)

    class Media:
        css = {"all": ("threads/admin.css",)}

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only for the deletion of a user, which checks each row; else use the API and the commands."""
        return _deletes_user(request)

    def reads_payloads(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(READ_PAYLOADS))  # type: ignore[union-attr]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without what people and graphs wrote for those who may not read it."""
        found = super().get_fieldsets(request, obj)
        if self.reads_payloads(request):
            return found
        hidden = {"fields": (), "description": HIDDEN}
        return [(name, hidden if name in self.payload_fieldsets else rest) for name, rest in found]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs.get("obj")
        if row is not None and self.payload_fieldsets and self.reads_payloads(request):
            self.note_reading(request, row)
        return super().render_change_form(request, context, *args, **kwargs)

    def note_reading(self, request: HttpRequest, row: Model) -> None:
        """Record on the row's history page that a person reads it, once an hour."""
        user: Any = request.user
        rows: Any = [row]
        since = clock.now() - READING
        read = LogEntry.objects.filter(
            user=user, object_id=str(row.pk), change_message=READ_MESSAGE, action_time__gt=since
        )
        if not read.exists():
            LogEntry.objects.log_actions(user.pk, rows, CHANGE, READ_MESSAGE)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SparingChangeList

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Django's own answers 500 if something is selected that cannot be an id."""
        try:
            for each in request.POST.getlist(ACTION_CHECKBOX_NAME):
                self.opts.pk.to_python(each)  # type: ignore[union-attr]
        except ValidationError:
            self.message_user(request, "Something is selected that is not of this list.", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset, *args, **kwargs)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Only what the filters offer: Django's own lets an address ask for the values of any column."""
        names = {"pk"} | {field.name for field in self.model._meta.get_fields()}
        names |= {field.attname for field in self.model._meta.concrete_fields}
        if lookup.partition("__")[0] not in names:
            # Nothing that could be asked for: the list is shown without it, as for an old bookmark.
            return True
        offered = {getattr(each, "parameter_name", None) for each in self.get_list_filter(request)}
        return lookup.removesuffix("__in") in offered

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match one or several whole ids, or else the text; each search uses an index."""
        words = search_term.split()
        if not words:
            return queryset, False
        ids = [found for word in words if (found := as_uuid(word))]
        wanted = Q()
        if len(ids) == len(words):
            for lookup in self.search_ids:
                wanted |= Q(**{f"{lookup}__in": ids})
        else:
            for lookup in self.search_texts:
                wanted |= Q(**{lookup: search_term.strip()})
        return queryset.filter(wanted) if wanted else queryset.none(), False


class ChoiceFilter(admin.SimpleListFilter):
    """A filter that ignores values which it does not offer."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        offered = {str(value) for value, _ in self.lookup_choices}
        return self.narrow(queryset, str(self.value())) if self.value() in offered else queryset

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        raise NotImplementedError


class CreatedFilter(ChoiceFilter):
    title = "created"
    parameter_name = "created"
    ages = {
        "15m": ("Past 15 minutes", timedelta(minutes=15)),
        "1h": ("Past hour", timedelta(hours=1)),
        "24h": ("Past 24 hours", timedelta(hours=24)),
        "7d": ("Past 7 days", timedelta(days=7)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in self.ages.items()] + [("older", "Earlier")]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        _, age = self.ages.get(value, self.ages["7d"])
        since = self.since(clock.now() - age)
        return queryset.exclude(since) if value == "older" else queryset.filter(since)

    def since(self, moment: datetime) -> Q:
        return Q(created_at__gte=moment)


class LinkedFilter(admin.SimpleListFilter):
    """Filters by one related row; only links set it, the list does not offer it."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if self.value() is None:
            return []
        chosen = as_uuid(str(self.value()))
        if chosen is None:
            raise IncorrectLookupParameters
        return [(str(self.value()), short_id(chosen))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else queryset.filter(**{str(self.parameter_name): as_uuid(value)})


def column(
    field: str, show: Callable[[Any], str], description: str, *, ordering: str | None = None
) -> Callable[[Any, Any], str]:
    """A method for `list_display` or `fieldsets` that shows a field by a given function."""

    @admin.display(description=description, ordering=ordering)
    def shown(self: Any, row: Any) -> str:
        return show(getattr(row, field))

    return shown


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
