"""Signatures that receivers with a Standard Webhooks library accept."""

from __future__ import annotations

import pytest

from runs.webhooks.signing import headers, key_of

#: From the specification's test vector.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, SENT_AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_specifications_example() -> None:
    assert headers(ID, BODY, sent_at=SENT_AT, secrets=[SECRET]) == {
        "webhook-id": ID,
        "webhook-timestamp": str(SENT_AT),
        "webhook-signature": SIGNATURE,
    }


def test_each_secret_gives_a_signature_while_one_is_replaced() -> None:
    other = "whsec_" + "A" * 32
    both = headers(ID, BODY, sent_at=SENT_AT, secrets=[other, SECRET])["webhook-signature"].split(" ")
    assert len(set(both)) == 2
    assert both[1] == SIGNATURE


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in headers(ID, BODY, sent_at=SENT_AT, secrets=[])


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!", "whsec_QUJD"]
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        key_of(secret)
