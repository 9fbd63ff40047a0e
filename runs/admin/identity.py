"""API keys and Auth files' users in the admin. A key is shown once, after its creation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from runs.identity import keys
from runs.identity.principals import READ, WRITE
from runs.models import ApiKey, AuthIdentity
from threads.admin.base import BY_USERNAME, ReadOnlyAdmin, column
from threads.db import clock
from threads.display import ago, badge, moment


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[(READ, "read"), (WRITE, "write")],
        initial=[READ, WRITE],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiKey
        fields = ("user", "name", "scopes", "expires_at")

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= clock.now():
            raise ValidationError("This time is over.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Create, view and revoke keys.

    Only superusers create keys for other users, because a key acts as its user.
    """

    form = ApiKeyForm
    list_display = ("shown", "name", "user", "may", "state", "created", "expires", "last_used")
    list_select_related = ("user",)
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_texts = ("prefix", "name__icontains", BY_USERNAME)
    search_help_text = "A key's first characters, part of its name, or a username."
    actions = ("revoke_keys",)
    #: `fields` are those of the page that creates a key.
    shown_fields = ("shown", "name", "user", "may", "state", "made", "expiry", "use", "revocation")

    shown = column("prefix", lambda prefix: f"{prefix}…", "key")
    may = column("scopes", ", ".join, "scopes")
    created = column("created_at", ago, "created")
    expires = column("expires_at", moment, "expires")
    last_used = column("last_used_at", ago, "last used")
    made = column("created_at", moment, "created")
    expiry = column("expires_at", moment, "expires")
    use = column("last_used_at", moment, "last used")
    revocation = column("revoked_at", moment, "revoked")

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        return badge(state_of(key))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ApiKeyForm.Meta.fields if obj is None else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown_fields

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        user: Any = request.user
        return bool(user.has_perm("runs.add_apikey"))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("runs.change_apikey"))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            users: QuerySet[Any] = get_user_model()._default_manager.filter(is_active=True)
            user: Any = request.user
            kwargs |= {
                "queryset": users if user.is_superuser else users.filter(pk=user.pk),
                "initial": user.pk,
            }
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        row, request.new_api_key = keys.create(
            obj.user_id,
            name=obj.name,
            scopes=frozenset(form.cleaned_data["scopes"]),
            expires_at=obj.expires_at,
        )
        obj.pk, obj.prefix, obj._state.adding = row.pk, row.prefix, False

    def response_add(self, request: Any, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the key on a separate page: a message would be stored in a cookie or session."""
        context = {
            **self.admin_site.each_context(request),
            "title": "API key created",
            "opts": self.opts,
            "key": request.new_api_key,
            "key_of": obj.user,
        }
        return TemplateResponse(request, "admin/runs/apikey/created.html", context)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_keys(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = [key for key in queryset if keys.revoke(key.pk)]
        user: Any = request.user
        if revoked:
            LogEntry.objects.log_actions(user.pk, revoked, CHANGE, "Revoked.")
        self.message_user(request, f"Revoked {len(revoked)} of {len(queryset)} keys.", messages.SUCCESS)


def state_of(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= clock.now() else "valid"


@admin.register(AuthIdentity)
class AuthIdentityAdmin(ReadOnlyAdmin):
    list_display = ("identity", "user", "created")
    list_select_related = ("user",)
    ordering = ("-id",)
    sortable_by = ()
    search_ids = ()
    search_texts = ("identity", BY_USERNAME)
    search_help_text = "An identity of the Auth file, or a username."
    fields = ("identity", "user", "made")

    created = column("created_at", ago, "created")
    made = column("created_at", moment, "created")
