"""Requests that clients repeat after a lost answer: the same `Idempotency-Key` creates once.

A key's row is inserted in the transaction that creates the objects. A concurrent request with the
same key waits at that insertion until the first transaction ends (on SQLite, at the database's
lock), and then finds the row, or creates if the first one failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from runs.conf import settings
from runs.exceptions import CreationDeleted, InvalidRequest, KeyReused
from runs.models import IdempotencyKey
from runs.requests.mount import path_of
from runs.requests.parsing import parse
from threads.db import clock, statements

M = TypeVar("M", bound=Model)

HEADER = "Idempotency-Key"
#: Characters of a key.
LONGEST = 255
COLUMNS = ("user_id", "key", "digest", "ids", "created_at")
TAKE = (
    f"INSERT INTO {{table}} ({', '.join(COLUMNS)}) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (user_id, key) DO UPDATE SET digest = EXCLUDED.digest, ids = EXCLUDED.ids, "
    "created_at = EXCLUDED.created_at WHERE {table}.created_at < %s"
)


@dataclass(frozen=True, slots=True)
class Once:
    """A request that may create only once."""

    user_id: Any
    key: str
    #: Identifies the request; a repeated one has the same.
    digest: str

    @classmethod
    def of(cls, user_id: Any, key: str, *request: Any) -> Once:
        """A key of a user, for a request's parts, which must be JSON.

        Raises InvalidRequest for an unusable key.
        """
        if not 0 < len(key) <= LONGEST or not key.isprintable():
            raise InvalidRequest(f"Idempotency-Key must have 1 to {LONGEST} printable characters.")
        content = orjson.dumps(request, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
        return cls(user_id, key, hashlib.sha256(content).hexdigest())

    def known(self, since: datetime | None = None) -> list[UUID] | None:
        """The ids that an earlier request with this key created; None if there was none.

        Args:
            since: Only a request since then; by default `oldest()`.

        Raises KeyReused if it was another request.
        """
        row = IdempotencyKey.objects.filter(
            user_id=self.user_id, key=self.key, created_at__gte=since or oldest()
        ).first()
        if row is None:
            return None
        if row.digest != self.digest:
            raise KeyReused
        return [UUID(each) for each in row.ids]

    def found(self, rows: QuerySet[M]) -> list[M] | None:
        """The objects that an earlier request created, among these rows; None if there was none.

        Raises KeyReused, and CreationDeleted if one of them no longer exists.
        """
        ids = self.known()
        return None if ids is None else _all_of(ids, rows)

    def taken(self, rows: QuerySet[M]) -> list[M] | None:
        """Like `found`, in the transaction that creates: if the result is None, the key is reserved
        for it, and `record` must follow.
        """
        row = IdempotencyKey(user_id=self.user_id, key=self.key, digest=self.digest, created_at=clock.now())
        columns = {field.attname: field for field in IdempotencyKey._meta.concrete_fields}
        values = [columns[name].get_db_prep_save(getattr(row, name), connection) for name in COLUMNS]
        # One limit for both: a key that is not taken over must be known, although time goes on.
        since = oldest()
        values.append(columns["created_at"].get_db_prep_save(since, connection))
        with connection.cursor() as cursor:
            cursor.execute(TAKE.format(table=IdempotencyKey._meta.db_table), values)
            if cursor.rowcount == 1:
                return None
        ids = self.known(since)
        return None if ids is None else _all_of(ids, rows)

    def record(self, ids: Iterable[UUID]) -> None:
        """Store what the present transaction has created."""
        changes = {"ids": [str(each) for each in ids]}
        statements.update(IdempotencyKey, changes, {"user_id": self.user_id, "key": self.key})


def of_request(request: HttpRequest, user_id: Any) -> Once | None:
    """The request of a user with its key, if it has one. Raises InvalidRequest.

    The body is the client's, without the changes of an Auth file.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    body = parse(request.body, depth=settings.JSON_DEPTH) if request.body else None
    return Once.of(user_id, key, request.method, path_of(request), body)


def _all_of(ids: list[UUID], rows: QuerySet[M]) -> list[M]:
    found = {row.pk: row for row in rows.filter(pk__in=ids)}
    if len(found) < len(ids):
        raise CreationDeleted
    return [found[each] for each in ids]


def oldest() -> datetime:
    """The time before which keys are forgotten."""
    return clock.now() - timedelta(seconds=settings.IDEMPOTENCY_RETENTION)


def forgotten() -> QuerySet[IdempotencyKey]:
    return IdempotencyKey.objects.filter(created_at__lt=oldest())
