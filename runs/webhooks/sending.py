"""Sending one webhook to a checked address, with limits on the time and on the response."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import Counter
from concurrent.futures import Future
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from runs.conf import settings
from runs.encoding import decode, encode
from runs.models import WebhookDelivery
from runs.webhooks import signing
from runs.webhooks.outbox import Result
from runs.webhooks.policy import current_policy
from runs.webhooks.targets import Policy, TargetRefused, address_of, check_address, parse_url, port_of
from threads.api.wire import timestamp
from threads.db import clock
from threads.db.executors import resolvers

#: Timeout of connecting, in seconds. WEBHOOK_TIMEOUT limits the whole attempt.
CONNECT_TIMEOUT = 5.0
#: The status by which a receiver refuses further attempts.
GONE = 410


def open_client() -> httpx.AsyncClient:
    """A client without redirects, the environment's proxies, cookies and shared connections.

    httpx would keep connections and cookies per address, and hosts of several users may share one.
    """
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        verify=certificates(),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"User-Agent": "deerflow-django", "Accept-Encoding": "identity"},
    )


@cache
def certificates() -> ssl.SSLContext:
    """The trusted certificate authorities. Reading them takes about 50 ms, once per process."""
    return httpx.create_ssl_context(trust_env=False)


async def send(client: httpx.AsyncClient, delivery: WebhookDelivery) -> Result:
    """Send a delivery and return the result. Raises nothing but CancelledError."""
    try:
        async with asyncio.timeout(settings.WEBHOOK_TIMEOUT):
            request = await _request(client, delivery)
            # The response's body is not read: it is not needed, and may be endless.
            response = await client.send(request, stream=True)
            await response.aclose()
    except TimeoutError:
        return Result(error=f"No answer within {settings.WEBHOOK_TIMEOUT:g} s.")
    except TargetRefused as error:
        return Result(error=str(error), final=True)
    except socket.gaierror as error:
        return Result(error=f"The host's name cannot be resolved: {error.strerror}.")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Result(error=f"{type(error).__name__}: {error}"[:1000])
    if response.is_success:
        return Result(response.status_code)
    answered = f"The receiver answered {response.status_code}."
    return Result(response.status_code, answered, final=response.status_code == GONE)


async def _request(client: httpx.AsyncClient, delivery: WebhookDelivery) -> httpx.Request:
    policy = current_policy()
    url = parse_url(delivery.url, policy)
    address = await resolve(url, policy, user_id=delivery.user_id)
    body = encode({**decode_payload(delivery.payload), "webhook_sent_at": timestamp(clock.now())}).encode()
    signed = signing.headers(
        str(delivery.id), body, sent_at=int(time.time()), secrets=settings.WEBHOOK_SECRETS
    )
    return client.build_request(
        "POST",
        url.copy_with(host=address),
        content=body,
        headers={
            **settings.WEBHOOK_HEADERS,
            **signed,
            "Content-Type": "application/json",
            "Host": url.netloc.decode("ascii"),
        },
        timeout=httpx.Timeout(settings.WEBHOOK_TIMEOUT, connect=CONNECT_TIMEOUT),
        # The certificate is checked against the host name, although the connection goes to an address.
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )


def decode_payload(payload: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = payload if isinstance(payload, dict) else decode(payload)
    return decoded


#: Lookups whose deliveries have given up, and their users. A lookup cannot be interrupted and occupies a thread.
_left: dict[Future[Any], int] = {}


def lookups_left() -> Counter[int]:
    """How many lookups of each user outlive their deliveries."""
    return Counter(list(_left.values()))


async def resolve(url: httpx.URL, policy: Policy, *, user_id: int) -> str:
    """The address to connect to: the host's first one, if all of its addresses are allowed.

    Raises TargetRefused, and gaierror for an unknown name.
    """
    host, port = url.raw_host.decode("ascii"), port_of(url)
    lookup = resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.wrap_future(lookup)
    except asyncio.CancelledError:
        _left[lookup] = user_id
        lookup.add_done_callback(lambda _: _left.pop(lookup, None))
        raise
    addresses = [address_of(str(sockaddr[0])) for *_, sockaddr in found]
    for address in addresses:
        check_address(address, policy)
    # IPv4 first: a host that has both is reachable over IPv4 from everywhere.
    addresses.sort(key=lambda address: address.version)
    return str(addresses[0])
