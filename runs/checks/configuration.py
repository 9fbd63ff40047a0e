"""System checks of the settings. None of them uses the database.

Nearly every command of Django runs all checks, including `migrate`. Graphs may need keys or
packages that a migration job lacks, so `migrate` must not import them. Django does not pass the
command to a check; it is read from the command line.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import django
from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.version import get_version_tuple

from runs import conf, graphs
from runs.graphs import store_settings
from runs.graphs.handlers import NotUsable, named
from runs.identity.auth_file import configured
from runs.identity.origins import ANY, LOOPBACK, is_origin

TAG = "runs"
#: Numbers for which 0 means "none" or "at once"; all others must be positive.
MAY_BE_ZERO = {
    "RUN_TIMEOUT", "CANCEL_GRACE", "DRAIN_SECONDS", "EVENT_FLUSH", "USER_CONCURRENCY", "TOTAL_CONCURRENCY", "LOOP_ALARM",
    "EVENT_RETENTION", "RUN_RETENTION", "THREAD_TTL", "USER_QUEUE", "USER_RUNS_PER_MINUTE", "USER_THREADS",
    "USER_CRONS", "USER_CONNECTIONS", "CONNECTIONS", "SOCKETS", "CORS_MAX_AGE",
    "MESSAGES_PER_INPUT", "MESSAGES_PER_EDIT", "PAGE_LIMIT", "ITEM_LIMIT", "ASSISTANT_LIMIT", "EDIT_LIMIT", "COPY_LIMIT", "USER_STORE", "STATE_LIMIT", "EVENT_LIMIT", "EVENTS_PER_RUN", "IDLE_TIMEOUT", "WEBHOOK_RETENTION", "SITE_BODY_LIMIT",
}  # fmt: skip
#: Fixes CVE-2026-44545 (unbounded websocket messages) and CVE-2026-44546 (header smuggling).
MINIMAL_DAPHNE = (4, 2, 2)

Apps = Sequence[AppConfig] | None


def _are_a_dict() -> bool:
    return isinstance(getattr(django_settings, "RUNS", {}), dict)


@register(TAG)
def check_graphs(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E001, E002, E004, E005, W001, W002: the registry's own findings. Imports every graph."""
    return [] if sys.argv[1:2] == ["migrate"] or not _are_a_dict() else graphs.problems()


@register(TAG)
def check_auth_file(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E012: an Auth file that cannot be used would make the server refuse all requests."""
    if sys.argv[1:2] == ["migrate"] or not _are_a_dict():
        return []
    try:
        configured.current()
    except configured.NoConfiguration:
        return []  # E005 says so.
    except configured.AuthFileError as error:
        return [
            Error(str(error), hint="Correct it, or remove 'auth' from the langgraph.json.", id="runs.E012")
        ]
    return []


@register(TAG)
def check_callbacks(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E024: the callback handlers. Imports them."""
    if sys.argv[1:2] == ["migrate"] or not _are_a_dict() or check_settings(None):
        return []
    problems: list[CheckMessage] = []
    for path in conf.settings.CALLBACKS:
        try:
            named(path)
        except NotUsable as error:
            hint = "Correct RUNS['CALLBACKS']; its runs go on without it."
            problems.append(Error(f"RUNS['CALLBACKS']: {error}", hint=hint, id="runs.E024"))
    return problems


@register(TAG)
def check_store(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E020: the store's configuration. Imports the embedding."""
    if sys.argv[1:2] == ["migrate"] or not _are_a_dict() or check_settings(None):
        return []
    try:
        store_settings.configuration()
    except ImproperlyConfigured as error:
        return [
            Error(str(error), hint="Correct RUNS['STORE'], or the langgraph.json's `store`.", id="runs.E020")
        ]
    return []


@register(TAG)
def check_local_user(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W004: behind a proxy on the same machine, all requests seem to come from it."""
    if not _are_a_dict() or not conf.settings.LOCAL_USER or django_settings.DEBUG:
        return []
    message = (
        "RUNS['LOCAL_USER'] is on, and DEBUG is off: requests without credentials act as the local user."
    )
    return [
        Warning(message, hint="It is only for development on this machine; switch it off.", id="runs.W004")
    ]


@register(TAG, deploy=True)
def check_transport(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W005: keys and cookies must be encrypted in transit, but the server supports only HTTP."""
    if django_settings.DEBUG or django_settings.SECURE_PROXY_SSL_HEADER:
        return []
    return [
        Warning(
            "No HTTPS proxy in front of this server is configured: keys and cookies would be sent unencrypted.",
            hint="Use a proxy that sets X-Forwarded-Proto itself, and set BEHIND_PROXY=true, which also redirects HTTP "
            "to HTTPS (SECURE_PROXY_SSL_HEADER, SECURE_SSL_REDIRECT).",
            id="runs.W005",
        )
    ]


@register(TAG)
def check_settings(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E003, E004, E007, E010, E011: unknown names, wrong values, and contradictions."""
    if not _are_a_dict():
        return [Error("RUNS is not a dictionary.", hint="Write RUNS = {…} in the settings.", id="runs.E004")]
    hints = {name: hint for name, hint in get_type_hints(conf.RunSettings).items() if name.isupper()}
    given: dict[Any, Any] = getattr(django_settings, "RUNS", {})
    unknown = [
        Error(
            f"RUNS has the unknown setting {name!r}.", hint=f"Known are {', '.join(hints)}.", id="runs.E003"
        )
        for name in given
        if name not in hints
    ]
    wrong = [
        Error(f"RUNS[{name!r}] is {value!r}: it must be {demand}.", id="runs.E004")
        for name, value in given.items()
        if name in hints and (demand := _unmet_demand(name, value, hints[name]))
    ]
    return [*unknown, *wrong, *([] if wrong else _contradictions())]


def _unmet_demand(name: str, value: Any, hint: Any) -> str | None:
    """The requirement that a setting's value does not meet, if any."""
    if name in conf.CHOICES:
        return None if value in conf.CHOICES[name] else "one of " + ", ".join(map(repr, conf.CHOICES[name]))
    if not _fits(value, hint):
        # Python 3.13 names `pathlib.Path` by its internal module.
        return f"of the type {hint.__name__ if isinstance(hint, type) else hint}".replace(
            "pathlib._local.", "pathlib."
        )
    if hint in (int, float):
        if not math.isfinite(value) or value < 0:
            return "a number that is not negative" if name in MAY_BE_ZERO else "a positive number"
        return "a positive number" if value == 0 and name not in MAY_BE_ZERO else None
    return None


def _is_price(price: Any) -> bool:
    if not isinstance(price, tuple | list) or len(price) != 2:
        return False
    return all(_fits(each, float) and math.isfinite(each) and each >= 0 for each in price)


def _fits(value: Any, hint: Any) -> bool:
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin in (int, float):
        return isinstance(value, (int, origin)) and not isinstance(value, bool)
    if origin is tuple:
        return isinstance(value, (tuple, list)) and all(_fits(item, args[0]) for item in value)
    return isinstance(value, origin)


def _contradictions() -> Iterator[CheckMessage]:
    for model, price in conf.settings.MODEL_PRICES.items():
        if not isinstance(model, str) or not _is_price(price):
            yield Error(
                f"RUNS['MODEL_PRICES'] has {price!r} for {model!r}, which is no price.",
                hint="Write two numbers, of a million input tokens and of a million output tokens: (1.25, 10.0)",
                id="runs.E025",
            )
    lease, heartbeat = conf.settings.LEASE, conf.settings.HEARTBEAT
    if heartbeat * 2 > lease:
        yield Error(
            f"RUNS['HEARTBEAT'] ({heartbeat:g} s) is more than half of RUNS['LEASE'] ({lease:g} s): one late heartbeat "
            "would let other processes take over the runs of a healthy worker.",
            hint="A lease of six heartbeats is a good value.",
            id="runs.E007",
        )
    for origin in conf.settings.CORS_ORIGINS:
        if origin not in (ANY, LOOPBACK) and not is_origin(origin):
            yield Error(
                f"RUNS['CORS_ORIGINS'] has {origin!r}, which is no origin.",
                hint="Write a scheme and a host, and a port if there is one, but no path: https://example.com",
                id="runs.E010",
            )
    if ANY in conf.settings.CORS_ORIGINS and conf.settings.LOCAL_USER:
        yield Error(
            "RUNS['CORS_ORIGINS'] is '*' while requests without credentials act as the local user: every site that this "
            "machine's browser visits could read the user's threads.",
            hint="Name the origins, or give SECRET_KEY, so that pages need a key.",
            id="runs.E011",
        )


@register(TAG)
def check_persistent_connections(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W010: under ASGI, requests run in different threads, whose connections stay open unused.

    Only the pages outside the API use them. Other databases are the site's own business.
    """
    age = connections.settings[DEFAULT_DB_ALIAS]["CONN_MAX_AGE"]
    if not getattr(django_settings, "ASGI_APPLICATION", None) or age == 0:
        return []
    return [
        Warning(
            f"DATABASES['default']['CONN_MAX_AGE'] is {age}: under ASGI, persistent connections pile up.",
            hint="Set it to 0; on PostgreSQL use OPTIONS['pool'] to keep connections.",
            id="runs.W010",
        )
    ]


@register(TAG)
def check_compression(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """W003: before Django 6, each chunk of a stream is a separate gzip file; clients read one."""
    if django.VERSION >= (6, 0) or "django.middleware.gzip.GZipMiddleware" not in django_settings.MIDDLEWARE:
        return []
    hint = "Remove it and let the proxy in front compress, except for text/event-stream."
    return [Warning("GZipMiddleware breaks event streams.", hint=hint, id="runs.W003")]


@register(TAG)
def check_daphne(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E008: older versions let a client exhaust the memory or smuggle headers."""
    try:
        installed = version("daphne")
    except PackageNotFoundError:
        return []
    if get_version_tuple(installed) >= MINIMAL_DAPHNE:
        return []
    minimal = ".".join(map(str, MINIMAL_DAPHNE))
    message = f"daphne {installed} has known vulnerabilities (CVE-2026-44545, CVE-2026-44546)."
    return [Error(message, hint=f"Install daphne {minimal} or newer.", id="runs.E008")]
