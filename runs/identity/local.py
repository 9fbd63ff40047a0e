"""The built-in user of local development, for requests from this machine without credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model
from django.db.models import EmailField

from runs.conf import settings
from runs.identity.origins import is_named_host
from runs.identity.principals import Principal
from threads.db.database import in_database
from threads.db.ids import UserId

LOCAL_USERNAME = "local"
#: A proxy adds one of these headers; the peer's address is then the proxy's.
FORWARDED = frozenset({
    "forwarded", "forwarded-for", "via", "client-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-real-ip",
    "x-proxyuser-ip", "x-request-start", "cdn-loop", "cf-connecting-ip", "cf-ray", "fastly-client-ip", "fly-client-ip",
    "x-appengine-user-ip", "x-azure-clientip", "x-cloud-trace-context", "x-nf-client-connection-ip",
})  # fmt: skip
#: Prefixes of such headers.
FORWARDED_PREFIXES = ("x-forwarded", "x-original-", "x-envoy-", "x-amzn-", "x-amz-cf-", "x-arr-", "x-vercel-")

#: The built-in user's id, per event loop, of which a serving process has one.
_local_user: WeakKeyDictionary[asyncio.AbstractEventLoop, UserId] = WeakKeyDictionary()


def may_be_local(peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a peer may act as the local user: `LOCAL_USER` is set, and it is on this machine.

    The request must also name a known host, against DNS rebinding: an attacker can point any domain
    at this machine, and the browser then treats the attacker's page as one of this site.

    Args:
        peer: Its address. None behind a Unix socket, where a proxy may forward anyone's requests.
        headers: Names are in lower case.
    """
    return (
        bool(settings.LOCAL_USER)
        and is_loopback(peer)
        and is_named_host(headers.get("host"))
        and not any(name in FORWARDED or name.startswith(FORWARDED_PREFIXES) for name in headers)
    )


def is_loopback(peer: str | None) -> bool:
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


async def local_principal() -> Principal:
    """The built-in user of local development, which cannot log in."""
    loop = asyncio.get_running_loop()
    user_id = _local_user.get(loop)
    if user_id is None:
        user_id = _local_user[loop] = await in_database(local_user_id)
    return Principal(user_id)


def username_of(name: str) -> str:
    """A username for a name, which is an address if users log in by e-mail."""
    model = get_user_model()
    mail = isinstance(model._meta.get_field(model.USERNAME_FIELD), EmailField)
    return f"{name}@localhost" if mail and "@" not in name else name


def local_user_id() -> UserId:
    model = get_user_model()
    named: dict[str, Any] = {model.USERNAME_FIELD: username_of(LOCAL_USERNAME)}
    user, created = model._default_manager.get_or_create(**named)
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user.pk
