"""One-time tickets for websockets: a page cannot send headers with a socket, and a key must not be in an address.

A ticket stands for the credentials of the request that made it, for one socket on one thread. The
database has its digest and these credentials, sealed by the ticket itself: without the ticket,
which is nowhere stored, they cannot be read. So a ticket works at every process of the site, and an
open socket's credentials are checked again like those of any other (`runs.identity.standing`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import orjson
from ninja.errors import AuthenticationError, HttpError

from runs.conf import settings
from runs.exceptions import LimitReached, RequestTooLarge
from runs.models import SocketTicket
from threads.db import clock
from threads.db.ids import UserId

#: The prefix of every ticket; the log hides texts that begin with it.
MARK = "dft_"
#: Seconds in which a ticket must be used.
LIFE = 30
#: Bytes of a ticket's credentials.
LARGEST = 32 * 1024
#: Tickets that one user may have, if the number of connections has no limit.
MOST = 1000


def create(user_id: UserId, thread_id: UUID, headers: Mapping[str, str]) -> str:
    """Make a ticket, and remove the user's expired ones.

    Args:
        headers: The request's headers, with the user's credentials. Names are in lower case.

    Raises:
        RequestTooLarge: The headers are too large to be stored.
        LimitReached: The user has too many unused tickets.
    """
    plain = orjson.dumps(dict(headers))
    if len(plain) > LARGEST:
        raise RequestTooLarge(f"The headers of a request for a ticket have at most {LARGEST} bytes.")
    now, most = clock.now(), settings.USER_CONNECTIONS or MOST
    own = SocketTicket.objects.filter(user_id=user_id)
    own.filter(expires_at__lte=now).delete()
    if own.filter(used_at=None)[:most].count() >= most:
        raise LimitReached(f"You have {most} unused tickets; use some.", retry_after=LIFE)
    ticket = MARK + secrets.token_urlsafe(32)
    SocketTicket.objects.create(
        digest=digest(ticket),
        user_id=user_id,
        thread_id=thread_id,
        sealed=sealed(ticket, plain),
        expires_at=now + timedelta(seconds=LIFE),
    )
    return ticket


def redeem(ticket: str, thread_id: UUID) -> tuple[int, dict[str, str]]:
    """Use a ticket; return its user's id and the headers that it stands for.

    Raises:
        AuthenticationError: 401, the ticket is unknown or has expired.
        HttpError: 403, it is for another thread; 409, it was used before.
    """
    now = clock.now()
    row = SocketTicket.objects.filter(digest=digest(ticket), expires_at__gt=now).first()
    if row is None:
        raise AuthenticationError(message="The ticket is unknown or has expired.")
    if row.thread_id != thread_id:
        raise HttpError(403, "The ticket is for another thread.")
    # Of several clients at several processes, one gets the row.
    if not SocketTicket.objects.filter(digest=row.digest, used_at=None).update(used_at=now, sealed=b""):
        raise HttpError(409, "The ticket was used before.")
    return row.user_id, orjson.loads(sealed(ticket, bytes(row.sealed)))


def digest(ticket: str) -> str:
    """Needs no salt, because tickets are random."""
    return hashlib.sha256(ticket.encode()).hexdigest()


def sealed(ticket: str, text: bytes) -> bytes:
    """A text that only the ticket can read, and the reverse.

    The key stream is SHAKE-256 of the ticket, which has 256 random bits and seals one text only.
    """
    stream = hashlib.shake_256(b"sealed:" + ticket.encode()).digest(len(text))
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(text), "big")
