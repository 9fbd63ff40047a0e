"""Signatures of webhooks, as Standard Webhooks (v1.0.0, standardwebhooks.com) specifies them. Pure.

The signature covers the delivery's id, the time of sending, and the body, so that none of them can
be changed. A receiver that checks the time also detects a replayed request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
#: Bytes of a secret: the specification demands 24 to 64.
SHORTEST, LONGEST = 24, 64


def key_of(secret: str) -> bytes:
    """The key in a secret (`whsec_` and base64). Raises ValueError, which states the valid form."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"{PREFIX!r}, and {SHORTEST} to {LONGEST} bytes in base64")
    return key


def headers(delivery_id: str, body: bytes, *, sent_at: int, secrets: Sequence[str]) -> dict[str, str]:
    """The headers that identify a request, with signatures if there are secrets.

    Args:
        sent_at: The time of sending, in seconds since 1970.
        secrets: One signature is made with each; a receiver needs to know only one of them.
    """
    named = {"webhook-id": delivery_id, "webhook-timestamp": str(sent_at)}
    if secrets:
        signed = f"{delivery_id}.{sent_at}.".encode() + body
        named["webhook-signature"] = " ".join(
            f"v1,{_signature(key_of(secret), signed)}" for secret in secrets
        )
    return named


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
