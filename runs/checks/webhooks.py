"""System checks of the settings of webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.checks import CheckMessage, Error, register

from runs.checks.configuration import TAG, Apps, check_settings
from runs.conf import settings
from runs.webhooks.signing import key_of
from runs.webhooks.targets import PORTS, Policy


@register(TAG)
def check_webhooks(app_configs: Apps, **kwargs: Any) -> Iterable[CheckMessage]:
    """E009: invalid schemes, networks and secrets."""
    if list(check_settings(None)):
        return
    for name, demand in _unmet_demands():
        # The message omits the value, which may be a secret.
        yield Error(f"An entry of RUNS[{name!r}] is wrong: it must be {demand}.", id="runs.E009")


def _unmet_demands() -> Iterable[tuple[str, str]]:
    if not settings.WEBHOOK_SCHEMES or not set(settings.WEBHOOK_SCHEMES) <= set(PORTS):
        yield "WEBHOOK_SCHEMES", " or ".join(map(repr, PORTS))
    try:
        Policy.of(schemes=(), hosts=(), networks=settings.WEBHOOK_NETWORKS)
    except ValueError as error:
        yield "WEBHOOK_NETWORKS", f"a network such as '10.1.0.0/16' ({error})"
    for secret in settings.WEBHOOK_SECRETS:
        try:
            key_of(secret)
        except ValueError as error:
            yield "WEBHOOK_SECRETS", str(error)
