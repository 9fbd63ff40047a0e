"""Which URLs and addresses webhooks may be sent to. Pure: no Django, no database, no network.

A client chooses the URL, and this server connects to it from inside its own network (durability
§3.2 (9)). So the address is checked after the name was resolved, and the connection goes to exactly
this address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 65_536
PORTS = {"https": 443, "http": 80}
#: IPv6 networks whose addresses contain an IPv4 address in their last four bytes.
TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("::ffff:0:0:0/96"), ip_network("::/96"))
#: Addresses that `ipaddress` regards as global but are not: local translators, and metadata services of
#: clouds.
SPECIAL = (
    ip_network("168.63.129.16/32"),
    ip_network("100.100.100.200/32"),
)
#: IANA's special-purpose registries, which are incomplete in older Pythons.
IANA = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "::1/128",
        "::/128",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
    )
)
LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")


class TargetRefused(ValueError):
    """Webhooks are not sent there."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The allowed targets of webhooks."""

    schemes: Sequence[str] = ("https",)
    #: Host names, or `*.domain` for all subdomains; empty for any host.
    hosts: Sequence[str] = ()
    #: Networks that are allowed although they are not public.
    networks: Sequence[Network] = field(default=())
    #: Ports; empty for any.
    ports: Sequence[int] = ()
    #: Longest URL, in characters.
    longest: int = LONGEST_URL

    @classmethod
    def of(
        cls,
        *,
        schemes: Iterable[str],
        hosts: Iterable[str],
        networks: Iterable[str],
        ports: Iterable[int] = (),
        longest: int = LONGEST_URL,
    ) -> Policy:
        """Raises ValueError for an invalid network."""
        return cls(
            tuple(scheme.lower() for scheme in schemes),
            tuple(host.lower() for host in hosts),
            tuple(ip_network(network) for network in networks),
            tuple(ports),
            longest,
        )


def parse_url(text: str, policy: Policy) -> httpx.URL:
    """Parse and check a webhook's URL without resolving its host. Raises TargetRefused."""
    if len(text) > policy.longest:
        raise TargetRefused(f"webhook is longer than {policy.longest} characters.")
    if not text.isprintable() or " " in text:
        raise TargetRefused("webhook is not a valid URL.")
    try:
        url = httpx.URL(text)
        host, port = url.host, port_of(url)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise TargetRefused("webhook is not a valid URL.") from None
    if not host or not url.is_absolute_url:
        raise TargetRefused("webhook must be an absolute URL, with a host.")
    if url.scheme not in policy.schemes:
        raise TargetRefused(f"webhook must be a URL of {' or '.join(policy.schemes)}.")
    if url.userinfo:
        raise TargetRefused("webhook must not hold a username or a password.")
    if not 0 < port < 65_536:
        raise TargetRefused("webhook has no valid port.")
    if policy.ports and port not in policy.ports:
        raise TargetRefused(f"webhook must have one of the ports {', '.join(map(str, policy.ports))}.")
    _check_host(host.rstrip(".").lower(), policy)
    return url


def port_of(url: httpx.URL) -> int:
    return url.port if url.port is not None else PORTS.get(url.scheme, 0)


def host_of(url: httpx.URL) -> str:
    """The host by which concurrent deliveries are counted; all of its ports count together."""
    return url.host


def _check_host(host: str, policy: Policy) -> None:
    if policy.hosts and not any(_matches(host, pattern) for pattern in policy.hosts):
        raise TargetRefused(f"Webhook host blocked: {host} is not one of those that this server allows.")
    try:
        address = ip_address(host)
    except ValueError:
        is_local = host in LOCAL_NAMES or host.endswith(".localhost")
        if is_local and not any(network.is_loopback for network in policy.networks):
            raise TargetRefused("Webhook host blocked: loopback IP range") from None
        return
    check_address(address, policy)


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def check_address(address: Address, policy: Policy) -> None:
    """Raise TargetRefused for an address that is not public, unless the policy allows it."""
    for each in (address, *_stands_for(address)):
        if any(each in network for network in policy.networks):
            continue
        if kind := _kind(each):
            raise TargetRefused(f"Webhook host blocked: {kind} IP range")


def _stands_for(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 address leads to by mapping, translation or tunnel."""
    if not isinstance(address, IPv6Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in TRANSLATED) and int(address) > 1:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _kind(address: Address) -> str | None:
    """The kind of a non-public address; None for a public one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None or address.sixtofour is not None:
            return None  # the embedded IPv4 address decides
        if address in TRANSLATED[0]:
            return None
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "reserved": address.is_reserved or any(address in network for network in SPECIAL),
        "private": not address.is_global or getattr(address, "is_site_local", False),
        "special-purpose": any(address in network for network in IANA),
    }
    return next((kind for kind, applies in kinds.items() if applies), None)


def address_of(text: str) -> Address:
    """An address in a resolver's form, which may have a scope."""
    return ipaddress.ip_address(text.partition("%")[0])
