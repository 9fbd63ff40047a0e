"""The targets that the site's settings allow for webhooks."""

from __future__ import annotations

from runs.conf import settings
from runs.exceptions import InvalidRequest
from runs.webhooks.targets import Policy, TargetRefused, parse_url


def current_policy() -> Policy:
    return Policy.of(
        schemes=settings.WEBHOOK_SCHEMES,
        hosts=settings.WEBHOOK_HOSTS,
        networks=settings.WEBHOOK_NETWORKS,
        ports=settings.WEBHOOK_PORTS,
        longest=settings.WEBHOOK_URL_LENGTH,
    )


def check_webhook(url: str | None) -> None:
    """Raise InvalidRequest for a webhook that could never be sent."""
    if url is None:
        return
    try:
        parse_url(url, current_policy())
    except TargetRefused as error:
        raise InvalidRequest(str(error)) from None
