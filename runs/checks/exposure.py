"""System checks of settings that may expose the server.

Most only warn, because some sites intend it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.checks.security.base import SECRET_KEY_MIN_LENGTH, SECRET_KEY_MIN_UNIQUE_CHARACTERS

from runs import conf
from runs.identity.auth_file import configured
from runs.identity.principals import AUTH

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


#: Variables of LangGraph's own server, with what is done here instead.
UNREAD = {
    "LANGGRAPH_CONFIG": "Configure an assistant or the graph's code instead; LANGGRAPH_JSON is the path of a langgraph.json.",
    "LANGGRAPH_AES_KEY": "Nothing is encrypted here: encrypt the disk of the database instead.",
    "LANGGRAPH_AES_JSON_KEYS": "Nothing is encrypted here: encrypt the disk of the database instead.",
    "MOUNT_PREFIX": "Set 'http.mount_prefix' in langgraph.json, or include the URLs below a path.",
}


@register("runs")
def check_unread_environment(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W009: a variable that LangGraph's own server reads but this server does not."""
    return [
        Warning(f"{name} is set, but this server does not read it.", hint=instead, id="runs.W009")
        for name, instead in UNREAD.items()
        if os.environ.get(name)
    ]


@register("runs")
def check_ownership(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E023: without an Auth file, there is nothing that could say to whom rows belong."""
    named = getattr(django_settings, "RUNS", {})
    # `migrate` need not import the file.
    if sys.argv[1:2] == ["migrate"] or not isinstance(named, dict) or conf.settings.OWNERSHIP != AUTH:
        return []
    try:
        file = configured.current()
    except configured.AuthFileError:
        return []  # E005 or E012 says so.
    if file is not None:
        return []
    message = (
        "RUNS['OWNERSHIP'] is 'auth', but the site has no Auth file whose filters say to whom rows belong."
    )
    return [Error(message, hint="Name one as 'auth' in the langgraph.json, or set 'user'.", id="runs.E023")]
