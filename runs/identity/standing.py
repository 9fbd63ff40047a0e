"""Whether who opened a connection that stays open still is who it was: sessions end, keys are revoked, threads hidden."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from ninja.errors import AuthenticationError, HttpError

from runs.conf import settings
from runs.identity.principals import Principal

logger = logging.getLogger(__name__)


class Standing:
    """What is known of a connection's client.

    Args:
        ask: Identifies the client as of now, by what it connected with. Raises HttpError.
    """

    def __init__(self, principal: Principal, ask: Callable[[], Awaitable[Principal]]) -> None:
        self._principal = principal
        self._ask = ask
        self._asked = asyncio.get_running_loop().time()

    async def refusal(self, *, every: float) -> HttpError | None:
        """Why the connection has to end, if it has to; it is not asked more often than `every` so many seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._asked < every:
            return None
        self._asked = now
        try:
            if await self._ask() != self._principal:
                raise AuthenticationError(message="The connection belongs to somebody else now.")
        except HttpError as refusal:
            return refusal
        except Exception as error:
            logger.warning("Who a connection belongs to could not be checked; it is asked again: %s", error)
        return None


async def while_standing(chunks: AsyncGenerator[bytes], standing: Standing) -> AsyncGenerator[bytes]:
    """The chunks of a response without an end, until its client is not who it was; it has to come often, if only to beat."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if await standing.refusal(every=settings.SOCKET_IDENTITY) is not None:
                return
            yield chunk
