"""LangGraph's store of one user."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from threads.checkpoints.rows import Sealed
from threads.db import clock
from threads.db.database import in_database
from threads.db.executors import in_thread
from threads.db.fields import Encoded
from threads.db.namespaces import Namespace, decode, encode
from threads.db.time_limits import limited
from threads.db.values.text import is_text
from threads.expiry import LONGEST
from threads.models import StoreItem
from threads.models.querysets import Principal
from threads.store import items, writes
from threads.store.embedding import Index, StoreConfig, check_paths
from threads.store.exceptions import InvalidTtl, InvalidValue, TooLarge
from threads.store.filters import encode as as_json
from threads.store.items import Place
from threads.store.namespaces import check_place, fixed, matches
from threads.store.room import take_room
from threads.store.searching import check_bounds, check_search, search
from threads.store.writes import Fence


class UserStore(BaseStore):
    """The items of one user, for a graph or a request; no namespace leads to another user's.

    Created on an event loop. Its asynchronous methods never block the loop; the synchronous ones
    are for nodes that LangGraph executes on threads, and block those. Within a batch, reads see the
    state before the batch's puts, and the last of several puts of a key wins, as in LangGraph's own
    stores.

    Args:
        fence: The run's writer, if a run uses the store: after a takeover each put raises Fenced.
    """

    supports_ttl = True

    def __init__(self, principal: Principal, config: StoreConfig, *, fence: Fence | None = None) -> None:
        self._principal = principal
        self._index = config.index
        self._item_limit, self._user_limit = config.item_limit, config.user_limit
        self.refresh_on_read = config.refresh_on_read
        self._fence = fence
        self._sealed = False
        self._loop = asyncio.get_running_loop()
        self.ttl_config = TTLConfig(default_ttl=config.default_ttl, refresh_on_read=config.refresh_on_read)

    def seal(self) -> None:
        """Refuse every later write, because the run has ended; abandoned nodes may still try."""
        self._sealed = True

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations from another thread.

        Raises RuntimeError on the event loop's, which it would block.
        """
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            raise RuntimeError(
                "A synchronous call of the store would block the event loop: await its asynchronous form (aget, aput, "
                "asearch, …) in asynchronous nodes."
            )
        return asyncio.run_coroutine_threadsafe(self.abatch(ops), self._loop).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations in a few statements. An invalid one raises before any is done."""
        every = list(ops)
        for op in every:
            _check(op)
        puts = {Place(tuple(op.namespace), op.key): op for op in every if isinstance(op, PutOp)}
        values = {place: self._encoded(op.value) for place, op in puts.items() if op.value is not None}
        results: list[Result] = [None] * len(every)
        await self._get(every, results)
        for number, op in enumerate(every):
            if isinstance(op, SearchOp):
                async with limited():
                    results[number], _ = await search(self._principal, op, self._index)
            elif isinstance(op, ListNamespacesOp):
                async with limited():
                    results[number] = await self._namespaces(op)
        await self._put(puts, values)
        return results

    async def page(self, op: SearchOp, *, most: int) -> tuple[list[SearchItem], bool]:
        """Search like `asearch`, but return no more than `most` bytes, and whether there may be more items.

        Raises ValueError for an invalid operation, and QueryTooSlow.
        """
        _check(op)
        async with limited():
            return await search(self._principal, op, self._index, most=most)

    async def _get(self, ops: list[Op], results: list[Result]) -> None:
        gets = {number: op for number, op in enumerate(ops) if isinstance(op, GetOp) and is_text(op.key)}
        if not gets:
            return
        places = {number: Place(tuple(op.namespace), op.key) for number, op in gets.items()}
        refreshed = {places[number] for number, op in gets.items() if op.refresh_ttl}
        found = await in_database(items.get, self._principal, {*places.values()}, refreshed=refreshed)
        for number, place in places.items():
            results[number] = found.get(place)

    async def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        conditions = op.match_conditions or ()
        if not all(is_text(label) for condition in conditions for label in condition.path):
            return []
        prefixes = [fixed(condition.path) for condition in conditions if condition.match_type == "prefix"]
        prefix = max(prefixes, key=len, default=())
        # Namespaces that are equal up to the depth are adjacent.
        found: dict[Namespace, None] = {}
        page = [""]
        while page and len(found) < op.offset + op.limit:
            page = await in_database(items.namespaces, self._principal, prefix, after=page[-1])
            every = map(decode, page)
            matching = (each for each in every if all(matches(each, condition) for condition in conditions))
            found |= dict.fromkeys(namespace[: op.max_depth] for namespace in matching)
        return list(islice(found, op.offset, op.offset + op.limit))

    async def _put(self, puts: dict[Place, PutOp], values: dict[Place, Encoded]) -> None:
        if not puts:
            return
        gone = [place for place in puts if place not in values]
        await take_room(self._principal, values, gone, limit=self._user_limit)
        vectors = [b""] * len(values)
        if self._index is not None:
            given = [(puts[place].value or {}, puts[place].index) for place in values]
            texts = await in_thread(_texts, self._index, given)
            vectors = await self._index.vectors(texts)
        if self._sealed:
            raise Sealed
        rows = [
            self._row(place, puts[place], value, packed)
            for (place, value), packed in zip(values.items(), vectors, strict=True)
        ]
        await in_database(writes.write, self._principal, rows, gone, fence=self._fence)

    def _encoded(self, value: Any) -> Encoded:
        """A value in its stored form. Raises InvalidValue and TooLarge."""
        encoded = _encoded(value)
        if self._item_limit and len(encoded.encode()) > self._item_limit:
            raise TooLarge(f"An item has at most {self._item_limit} bytes as JSON.")
        return encoded

    def _row(self, place: Place, op: PutOp, value: Encoded, packed: bytes) -> StoreItem:
        now = clock.now()
        return StoreItem(
            user_id=self._principal.user_id,
            namespace=encode(place.namespace),
            key=place.key,
            value=value,
            created_at=now,
            updated_at=now,
            ttl_minutes=op.ttl,
            expires_at=None if op.ttl is None else now + timedelta(minutes=op.ttl),
            embedding=self._index.name if self._index is not None and packed else "",
            vectors=packed,
        )


def _texts(index: Index, given: Sequence[tuple[Mapping[str, Any], Any]]) -> list[list[str]]:
    return [index.texts(value, paths) for value, paths in given]


def _encoded(value: Any) -> Encoded:
    """A value in its stored form. Raises InvalidValue."""
    if not isinstance(value, Mapping):
        raise InvalidValue(f"An item's value is a JSON object, not {type(value).__name__}.")
    try:
        return Encoded(as_json(dict(value)))
    except TypeError as error:
        raise InvalidValue(f"An item's value is a JSON object, and this one is not: {error}.") from None


def _check(op: Op) -> None:
    """Raise ValueError if an operation is invalid."""
    validate_op_namespace(op)
    match op:
        case PutOp():
            check_place(op.namespace, op.key)
            if op.index not in (None, False):
                check_paths(op.index)
            _check_ttl(op.ttl)
        case SearchOp():
            check_search(op)
        case ListNamespacesOp():
            for condition in op.match_conditions or ():
                if condition.match_type not in ("prefix", "suffix"):
                    raise ValueError(
                        f"A namespace is matched by prefix or suffix, not by {condition.match_type!r}."
                    )
            if op.max_depth is not None and op.max_depth < 1:
                raise ValueError("The depth of namespaces is at least 1.")
            check_bounds(op.limit, op.offset)


def _check_ttl(ttl: Any) -> None:
    if ttl is None:
        return
    if (
        isinstance(ttl, bool)
        or not isinstance(ttl, int | float)
        or not math.isfinite(ttl)
        or not 0 < ttl <= LONGEST
    ):
        raise InvalidTtl(f"A time to live is a positive number of minutes, at most {LONGEST:.0f}.")
