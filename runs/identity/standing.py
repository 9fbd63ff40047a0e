"""Whether whoever opened a stream or a socket may still read it: both may outlive a key, a session, and a user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from uuid import UUID
from weakref import WeakValueDictionary

from django.conf import settings as django_settings
from ninja.errors import AuthenticationError, HttpError

from runs.conf import settings
from runs.identity import keys
from runs.identity.auth_file.permission import permit
from runs.identity.auth_file.rules import SOCKET
from runs.identity.credentials import Credentials, identified
from runs.identity.principals import Principal
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

AskAuthFile = Callable[[], Awaitable[Principal]]


class _Identity:
    """Whose some credentials are. Shared by all that this process serves to who shows them: they are asked about once."""

    def __init__(self, credentials: Credentials, ask: AskAuthFile | None) -> None:
        self._credentials = credentials
        self._ask = ask
        self._asking: asyncio.Task[Principal] | None = None
        #: When they were last found valid (monotonic).
        self.confirmed = monotonic()

    async def principal(self) -> Principal:
        """Ask again. Raises what `identified` does."""
        if self._asking is None or self._asking.done():
            # A task of its own: the stream that asks may end meanwhile, and others wait for the answer too.
            self._asking = spawn(self._identified())
        return await asyncio.shield(self._asking)

    async def _identified(self) -> Principal:
        principal, _ = await identified(self._credentials, self._ask)
        self.confirmed = monotonic()
        return principal


_shared: WeakValueDictionary[tuple[str, ...], _Identity] = WeakValueDictionary()


class Standing:
    """One reader's right to go on reading; made when it has just been found to have it.

    Args:
        ask: Authenticates by the site's Auth file, if it has one.
        thread_id: The thread that it reads, about which an Auth file is asked again; None if it reads only what it made.
    """

    def __init__(
        self,
        principal: Principal,
        credentials: Credentials,
        ask: AskAuthFile | None = None,
        *,
        thread_id: UUID | None = None,
    ) -> None:
        self._principal = principal
        self._thread_id = thread_id
        self._checked = monotonic()
        name = _name(credentials, ask)
        found = _shared.get(name) if name else None
        self._identity = found or _Identity(credentials, ask)
        self._identity.confirmed = self._checked
        if name:
            _shared[name] = self._identity

    async def check(self, *, patience: float | None = None) -> None:
        """Ask again, if the last answer is old; cheap enough to be called before each message.

        A database that does not answer, or an Auth file that fails, is asked again at the next time.

        Args:
            patience: How old it may be, in seconds; `IDENTITY_CHECK` unless something is to be done, not only read.

        Raises:
            HttpError: 401, the credentials are nobody's any more, or another's; 403 or 404, what the Auth file says.
        """
        now = monotonic()
        patience = settings.IDENTITY_CHECK if patience is None else patience
        try:
            if now - self._identity.confirmed >= patience:
                await self._ask_who()
            if self._thread_id is not None and now - self._checked >= patience:
                self._checked = now
                await permit(self._principal, SOCKET, {"thread_id": self._thread_id}, {})
        except HttpError:
            raise
        except Exception as error:
            self._identity.confirmed = now
            logger.warning("Whether a stream's reader may still read could not be asked: %s", error)

    async def _ask_who(self) -> None:
        before, self._principal = self._principal, await self._identity.principal()
        if (self._principal.user_id, self._principal.scopes) != (before.user_id, before.scopes):
            raise AuthenticationError(message="These credentials are somebody else's now.")


def _name(credentials: Credentials, ask: AskAuthFile | None) -> tuple[str, ...] | None:
    """What credentials that are the same have in common; None if an Auth file also looks at the rest of the request."""
    key = keys.key_in(credentials.headers)
    if key is not None and keys.is_ours(key):
        return ("key", keys.digest(key))
    session = credentials.cookies.get(django_settings.SESSION_COOKIE_NAME, "")
    return ("session", session, credentials.peer or "") if ask is None else None
