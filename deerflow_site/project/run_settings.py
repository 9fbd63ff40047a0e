"""What a langgraph.json's keys mean as entries of `RUNS`. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from deerflow_site.project.errors import ProjectError
from deerflow_site.project.reading import Project

#: The default of `webhooks.env_prefix`.
PREFIX = "LG_WEBHOOK_"
_VARIABLE = re.compile(r"\$\{\{\s*env\.(\w+)\s*\}\}")


def run_settings(project: Project, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The entries of `RUNS` that the file sets. Raises ProjectError.

    Args:
        environ: Has the variables that headers of webhooks name.
    """
    found = {
        **_retention(project),
        **_webhooks(project, environ),
        "CONFIGURABLE_HEADERS": _patterns(project),
    }
    return {name: value for name, value in found.items() if value is not None}


def _retention(project: Project) -> dict[str, Any]:
    ttl = project.part("checkpointer", "ttl") or {}
    minutes = ttl.get("sweep_interval_minutes")
    for name in ("default_ttl", "sweep_interval_minutes"):
        if ttl.get(name) is not None and ttl[name] <= 0:
            raise ProjectError(f"{project.file.name}: 'checkpointer.ttl.{name}' must be positive.")
    return {
        "THREAD_TTL": ttl.get("default_ttl"),
        "THREAD_TTL_STRATEGY": ttl.get("strategy"),
        "RETENTION_SWEEP": minutes * 60 if minutes else None,
    }


def _webhooks(project: Project, environ: Mapping[str, str]) -> dict[str, Any]:
    url = project.part("webhooks", "url") or {}
    https = url.get("require_https")
    return {
        "WEBHOOKS": False if project.http.get("disable_webhooks") else None,
        "WEBHOOK_SCHEMES": None if https is None else ("https",) if https else ("https", "http"),
        "WEBHOOK_HOSTS": _tuple(url.get("allowed_domains")),
        "WEBHOOK_PORTS": _tuple(url.get("allowed_ports")),
        "WEBHOOK_URL_LENGTH": url.get("max_url_length"),
        "WEBHOOK_HEADERS": _headers(project, environ),
    }


def _headers(project: Project, environ: Mapping[str, str]) -> dict[str, str] | None:
    given = project.part("webhooks", "headers")
    if not given:
        return None
    prefix = project.part("webhooks", "env_prefix") or PREFIX
    where = f"{project.file.name}: 'webhooks.headers."

    def value_of(header: str, name: str) -> str:
        if not name.startswith(prefix):
            raise ProjectError(f"{where}{header}' names {name}, which does not begin with {prefix}.")
        if name not in environ:
            raise ProjectError(f"{where}{header}' names {name}, which is not in the environment.")
        return environ[name]

    found = {}
    for header, template in given.items():
        if not isinstance(template, str):
            raise ProjectError(f"{where}{header}' must be a text, not {template!r}.")
        found[header] = _VARIABLE.sub(lambda match, header=header: value_of(header, match[1]), template)  # type: ignore[misc]
    return found


def _patterns(project: Project) -> dict[str, list[str]] | None:
    given = project.http.get("configurable_headers")
    if given is None:
        return None
    return {
        "includes": given.get("includes") or given.get("include") or [],
        "excludes": given.get("excludes") or given.get("exclude") or [],
    }


def _tuple(value: list[Any] | None) -> tuple[Any, ...] | None:
    return None if value is None else tuple(value)


def cors_settings(project: Project, *, local: bool) -> dict[str, Any]:
    """The entries of `RUNS` for `http.cors`. Raises ProjectError.

    Args:
        local: Whether requests without credentials act as the local user. Then "*" means pages of this machine
            only: any other page that its browser visits could read the user's threads.
    """
    given = project.http.get("cors")
    if given is None:
        return {}
    if given.get("allow_credentials"):
        raise ProjectError(
            f"{project.file.name}: 'http.cors.allow_credentials' is not supported: pages of other origins send "
            "a key in a header, and no cookies."
        )
    origins = given.get("allow_origins") or []
    if local:
        origins = ["loopback", *(each for each in origins if each != "*")]
    found = {
        "CORS_ORIGINS": origins,
        "CORS_METHODS": _tuple(given.get("allow_methods")),
        "CORS_HEADERS": _tuple(given.get("allow_headers")),
        "CORS_EXPOSED": _tuple(given.get("expose_headers")),
        "CORS_MAX_AGE": given.get("max_age"),
    }
    return {name: value for name, value in found.items() if value is not None}
