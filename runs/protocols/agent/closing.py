"""Why a websocket is closed: its close codes, and when a client may come back. Pure.

Codes from 4000 on are 4000 and an HTTP status; stock clients come back after none of 4400 to 4499
but 4408 and 4429. If the client should wait, the reason ends with `Retry after N s.`.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import Enum, IntEnum

#: What is added to an HTTP status.
HTTP = 4000
#: Bytes of a reason that fit into a close frame (RFC 6455, 5.5).
LONGEST_REASON = 123
RESTARTING = "The server is restarting."
#: Seconds that a restart takes at least, and how many clients come back in each further second.
RESTART, RETURNING = 1.0, 200


class Code(IntEnum):
    """The codes that this server sends by itself. An Auth file may send others, by its HTTP statuses."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NOT_UTF8 = 1007
    TOO_BIG = 1009
    FAILED = 1011
    RESTART = 1012
    TRY_LATER = 1013
    BAD_FRAMES = HTTP + 400
    NOT_LOGGED_IN = HTTP + 401
    FORBIDDEN = HTTP + 403
    GONE = HTTP + 404
    USED = HTTP + 409
    NO_THREAD_ID = HTTP + 422
    LIMIT = HTTP + 429


class Back(Enum):
    """When a client connects again. The values are the documentation's words."""

    NEVER = "no"
    SOON = "yes"
    #: After the time that the reason names.
    TOLD = "yes, after the time told"


@dataclass(frozen=True, slots=True)
class Closing:
    code: int
    meaning: str
    back: Back


#: All codes that a client may see on a socket, in the documentation's order.
CODES = tuple(
    Closing(code, meaning, back)
    for code, meaning, back in (
        (1000, "the client closed the socket", Back.NEVER),
        (Code.GOING_AWAY, "the socket was open for a day; a proxy or another server goes away", Back.SOON),
        (Code.PROTOCOL_ERROR, "the client broke the websocket protocol", Back.SOON),
        (1005, "closed without a code, by a proxy", Back.SOON),
        (1006, "the connection broke; also if the client did not answer a ping", Back.SOON),
        (Code.NOT_UTF8, "a text message is not UTF-8", Back.SOON),
        (1008, "a proxy's policy forbids the connection; this server does not send it", Back.NEVER),
        (Code.TOO_BIG, "a message is larger than `SOCKET_MESSAGE_LIMIT`, or has more than 4096 frames", Back.SOON),
        (Code.FAILED, "the server's error: the events could not be read", Back.SOON),
        (Code.RESTART, "the server restarts; continue with `since`", Back.TOLD),
        (Code.TRY_LATER, "the process has `SOCKETS` websockets; or the client has read nothing for `SOCKET_STALL` seconds", Back.TOLD),
        (Code.BAD_FRAMES, "100 messages in a row were no commands", Back.NEVER),
        (Code.NOT_LOGGED_IN, "no user is logged in, or no longer; the ticket is unknown or has expired", Back.NEVER),
        (Code.FORBIDDEN, "not allowed; the ticket is for another thread", Back.NEVER),
        (Code.GONE, "the thread was deleted, also before a client came back with `since`; or it is hidden", Back.NEVER),
        (HTTP + 408, "an Auth file's timeout; this server does not send it by itself", Back.SOON),
        (Code.USED, "the ticket was used before", Back.NEVER),
        (Code.NO_THREAD_ID, "the path has no thread id", Back.NEVER),
        (Code.LIMIT, "the user has `USER_CONNECTIONS` streams and websockets", Back.TOLD),
    )
)  # fmt: skip


def reason(text: str, *, retry_after: float | None = None) -> str:
    """A close frame's reason: the text, cut to what fits, and the time to come back, in seconds."""
    end = "" if retry_after is None else f" Retry after {math.ceil(retry_after * 10) / 10:g} s."
    return text.encode()[: LONGEST_REASON - len(end)].decode(errors="ignore") + end


def return_after_restart(sockets: int, *, draw: float | None = None) -> float:
    """Seconds after which one of the clients of a restarting process comes back.

    They are spread, because a new process cannot take thousands of clients at once.

    Args:
        sockets: How many clients the process has.
        draw: From 0 to 1; random by default.
    """
    return RESTART + (random.random() if draw is None else draw) * sockets / RETURNING
