"""System checks of settings that may expose the server.

They only warn, because some sites intend it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning, register
from django.core.checks.security.base import SECRET_KEY_MIN_LENGTH, SECRET_KEY_MIN_UNIQUE_CHARACTERS

from runs import conf

Apps = Sequence[AppConfig] | None


@register("runs")
def check_exposure(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W006 to W008: settings that anyone could exploit who reaches the server.

    Not in local development.
    """
    if not isinstance(getattr(django_settings, "RUNS", {}), dict):
        return []
    return [*_hosts(), *(() if conf.settings.LOCAL_USER else _exposed())]


def _hosts() -> Iterator[CheckMessage]:
    if "*" in django_settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS is '*': the server answers requests for any host name.",
            hint="List the hosts that it serves. The local user is disabled for requests to hosts that are not listed.",
            id="runs.W008",
        )


def _exposed() -> Iterator[CheckMessage]:
    if django_settings.DEBUG:
        yield Warning(
            "DEBUG is on outside of local development: error pages show settings and source code to everyone.",
            hint="Remove DEBUG from the environment.",
            id="runs.W006",
        )
    key = str(django_settings.SECRET_KEY)
    if len(key) < SECRET_KEY_MIN_LENGTH or len(set(key)) < SECRET_KEY_MIN_UNIQUE_CHARACTERS:
        yield Warning(
            f"SECRET_KEY has fewer than {SECRET_KEY_MIN_LENGTH} characters, or {SECRET_KEY_MIN_UNIQUE_CHARACTERS} different "
            "ones: an attacker who guesses it can forge sessions.",
            hint='Make one: python -c "import secrets; print(secrets.token_urlsafe(50))"',
            id="runs.W007",
        )


@register("runs")
def check_unread_environment(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W009: a variable that LangGraph's own server reads but this server does not."""
    if not os.environ.get("LANGGRAPH_CONFIG"):
        return []
    return [
        Warning(
            "LANGGRAPH_CONFIG is set, but this server does not read it.",
            hint="Configure an assistant or the graph's code instead; LANGGRAPH_JSON is the path of a langgraph.json.",
            id="runs.W009",
        )
    ]
