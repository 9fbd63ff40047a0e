"""Whether the reader of an open stream or socket may still read.

Both may outlive a key, a session or a user.
"""

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
from threads.db.database import in_database
from threads.db.tasks import spawn
from threads.filters import shares
from threads.models import Thread

logger = logging.getLogger(__name__)

AskAuthFile = Callable[[], Awaitable[Principal]]


class _Identity:
    """The principal of some credentials.

    All their connections in this process share it and its checks.
    """

    def __init__(self, credentials: Credentials, ask: AskAuthFile | None) -> None:
        self._credentials = credentials
        self._ask = ask
        self._asking: asyncio.Task[Principal] | None = None
        #: When they were last found valid (monotonic).
        self.confirmed = monotonic()

    async def principal(self) -> Principal:
        """Authenticate again. Raises like `identified`."""
        if self._asking is None or self._asking.done():
            # A separate task: the stream that started it may end while other streams wait for the result.
            self._asking = spawn(self._identified())
        return await asyncio.shield(self._asking)

    async def _identified(self) -> Principal:
        principal, _ = await identified(self._credentials, self._ask)
        self.confirmed = monotonic()
        return principal


_shared: WeakValueDictionary[tuple[str, ...], _Identity] = WeakValueDictionary()


class Standing:
    """One reader's permission to continue reading. Created right after a successful check.

    Args:
        ask: Authenticates by the site's Auth file, if it has one.
        thread_id: The thread that is read, for which the Auth file's handler is called again; None
            if the reader reads only what it created itself.
    """

    def __init__(
        self,
        principal: Principal,
        credentials: Credentials,
        ask: AskAuthFile | None = None,
        *,
        thread_id: UUID | None = None,
    ) -> None:
        self._principal = self._reader = principal
        self._thread_id = thread_id
        self._checked = monotonic()
        name = _name(credentials, ask)
        found = _shared.get(name) if name else None
        self._identity = found or _Identity(credentials, ask)
        self._identity.confirmed = self._checked
        if name:
            _shared[name] = self._identity

    async def check(self, *, patience: float | None = None) -> None:
        """Check again if the last result is old. Cheap enough to call before each message.

        If the database does not answer or the Auth file fails, the next call checks again.

        Args:
            patience: Maximum age of the last result, in seconds. By default `IDENTITY_CHECK`, which
                suffices for reading; commands need less.

        Raises:
            HttpError: 401, the credentials are no longer valid, or belong to another user now; 403
                or 404, the Auth file's refusal.
        """
        now = monotonic()
        patience = settings.IDENTITY_CHECK if patience is None else patience
        try:
            if now - self._identity.confirmed >= patience:
                await self._ask_who()
            if self._thread_id is not None and now - self._checked >= patience:
                self._checked = now
                allowed = await permit(self._principal, SOCKET, {"thread_id": self._thread_id}, {})
                await self._look_again(self._thread_id, allowed.principal)
        except HttpError:
            raise
        except Exception as error:
            self._identity.confirmed = now
            logger.warning("The permission of a stream's reader could not be checked: %s", error)

    async def _look_again(self, thread_id: UUID, principal: Principal) -> None:
        """Raise a 404 if the reader's filter no longer admits a shared thread that it admitted before.

        The stream itself notices when its thread no longer fulfils the filter.
        """
        before, self._reader = self._reader, principal
        changed = shares(principal, "threads") and before.filters != principal.filters
        if changed and await in_database(_loses, thread_id, before, principal):
            raise HttpError(404, f"Thread with ID {thread_id} not found")

    async def _ask_who(self) -> None:
        before, self._principal = self._principal, await self._identity.principal()
        if (self._principal.user_id, self._principal.scopes) != (before.user_id, before.scopes):
            raise AuthenticationError(message="These credentials belong to another user now.")


def _loses(thread_id: UUID, before: Principal, now: Principal) -> bool:
    threads = Thread.objects.filter(id=thread_id)
    return threads.for_principal(before).exists() and not threads.for_principal(now).exists()


def _name(credentials: Credentials, ask: AskAuthFile | None) -> tuple[str, ...] | None:
    """A key by which equal credentials share an identity.

    None if an Auth file may look at the rest of the request.
    """
    key = keys.key_in(credentials.headers)
    if key is not None and keys.is_ours(key):
        return ("key", keys.digest(key))
    session = credentials.cookies.get(django_settings.SESSION_COOKIE_NAME, "")
    return ("session", session, credentials.peer or "") if ask is None else None
