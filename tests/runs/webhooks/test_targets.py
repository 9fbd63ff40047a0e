"""Allowed targets of webhooks: public https addresses, unless the site allows others."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from runs.webhooks.sending import resolve
from runs.webhooks.targets import (
    LONGEST_URL,
    Policy,
    TargetRefused,
    address_of,
    check_address,
    host_of,
    parse_url,
)

DEFAULT = Policy()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",
        "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.1",
        "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1",
        "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::",
        "2002:a9fe:a9fe::", "::ffff:0:127.0.0.1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(TargetRefused, match=r"^Webhook host blocked: \S+ IP range$"):
        check_address(address_of(address), DEFAULT)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_a_public_address_is_allowed(address: str) -> None:
    check_address(address_of(address), DEFAULT)


def test_a_network_of_the_site_is_allowed_and_no_other_one() -> None:
    policy = Policy.of(schemes=["http"], hosts=[], networks=["10.1.0.0/16", "fc00::/7"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        check_address(address_of(address), policy)
    for address in ("10.2.0.1", "127.0.0.1", "::1", "::ffff:10.2.0.1"):
        with pytest.raises(TargetRefused):
            check_address(address_of(address), policy)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "webhook must be a URL of https."),
        ("ftp://example.com/", "webhook must be a URL of https."),
        ("file:///etc/passwd", "webhook must be an absolute URL, with a host."),
        ("/hook", "webhook must be an absolute URL, with a host."),
        ("example.com", "webhook must be an absolute URL, with a host."),
        ("", "webhook must be an absolute URL, with a host."),
        ("https://", "webhook must be an absolute URL, with a host."),
        ("https://user:secret@example.com/", "webhook must not hold a username or a password."),
        ("https://example.com:0/", "webhook has no valid port."),
        ("https://example.com:99999/", "webhook has no valid port."),
        ("https://exa mple.com/", "webhook is not a valid URL."),
        ("https://example.com/\r\nX: y", "webhook is not a valid URL."),
        ("https://[::1", "webhook is not a valid URL."),
        ("https://localhost/", "Webhook host blocked: loopback IP range"),
        ("https://LOCALHOST./", "Webhook host blocked: loopback IP range"),
        ("https://x.localhost/", "Webhook host blocked: loopback IP range"),
        ("https://[::1]:8080/", "Webhook host blocked: loopback IP range"),
        ("https://10.0.0.1/", "Webhook host blocked: private IP range"),
        ("https://169.254.169.254/latest", "Webhook host blocked: link-local IP range"),
        ("https://example.com/" + "a" * LONGEST_URL, f"webhook is longer than {LONGEST_URL} characters."),
    ],
)
def test_a_url_that_can_never_be_allowed_is_refused_at_once(url: str, reason: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        parse_url(url, DEFAULT)
    assert str(refused.value) == reason


@pytest.mark.parametrize("url, reason", [
    ("https://example.com:8443/", "webhook must have one of the ports 443, 444."),
    ("https://example.com/" + "a" * 40, "webhook is longer than 40 characters."),
])  # fmt: skip
def test_ports_and_lengths_can_be_limited(url: str, reason: str) -> None:
    policy = Policy.of(schemes=["https"], hosts=[], networks=[], ports=[443, 444], longest=40)
    assert parse_url("https://example.com/", policy).port is None
    assert parse_url("https://example.com:444/", policy).port == 444
    with pytest.raises(TargetRefused) as refused:
        parse_url(url, policy)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com:8443/a?b=c", "example.com"),
        ("https://1.1.1.1/", "1.1.1.1"),
        ("https://bücher.example/", "bücher.example"),
    ],
)
def test_other_urls_are_taken(url: str, place: str) -> None:
    assert host_of(parse_url(url, DEFAULT)) == place


def test_a_list_of_hosts_leaves_out_all_others() -> None:
    policy = Policy.of(schemes=["https"], hosts=["Example.com", "*.example.org"], networks=[])
    for url in ("https://example.com/", "https://EXAMPLE.com./", "https://a.b.example.org/"):
        parse_url(url, policy)
    for url in (
        "https://a.example.com/",
        "https://example.org/",
        "https://badexample.org/",
        "https://1.1.1.1/",
    ):
        with pytest.raises(TargetRefused, match="is not one of those that this server allows"):
            parse_url(url, policy)


def found(port: int, *addresses: str) -> list[Any]:
    """A resolver's answer."""
    return [(None, None, None, "", (address, port)) for address in addresses]


async def resolved(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> str:
    with monkeypatch.context() as patch:
        patch.setattr("socket.getaddrinfo", lambda host, port, **options: found(port, *addresses))
        return await resolve(httpx.URL("https://example.com"), DEFAULT, user_id=1)


async def test_a_name_is_refused_if_any_of_its_addresses_is_not_public(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await resolved(monkeypatch, "2606:4700::1111", "1.1.1.1") == "1.1.1.1"
    for addresses in (("127.0.0.1",), ("1.1.1.1", "10.0.0.1"), ("1.1.1.1", "::ffff:127.0.0.1")):
        with pytest.raises(TargetRefused):
            await resolved(monkeypatch, *addresses)
