"""The configuration of the site's store. Imports no models, because the system checks also run
without them.

`RUNS["STORE"]` has the form of a langgraph.json's `store`, and overrides it, entry by entry:

    {"index": {"embed": "./embed.py:embed", "dims": 384, "fields": ["text"]},
     "ttl": {"default_ttl": 10080, "refresh_on_read": true}}

`embed` names a function, or LangChain embeddings, in a file or module; or it is a "provider:model",
which needs LangChain and the provider's package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from langgraph.store.base import ensure_embeddings

from runs import graphs
from runs.conf import settings
from runs.graphs.loading import describe, import_object
from threads.store.embedding import WHOLE, Index, StoreConfig

#: The entries that `store` may have. Expired items are removed with all other expired data
#: (`RETENTION_SWEEP`).
KNOWN: dict[str, set[str]] = {
    "index": {"embed", "dims", "fields"},
    "ttl": {"default_ttl", "refresh_on_read", "sweep_interval_minutes"},
}
#: Longest vector of an embedding.
MOST_DIMS = 16_384


@cache
def configuration() -> StoreConfig:
    """The site's configuration of its store. Raises ImproperlyConfigured, which says what is wrong."""
    given: dict[str, Any] = {}
    folder: Path | None = None
    if settings.LANGGRAPH_JSON:
        path = Path(str(settings.LANGGRAPH_JSON)).resolve()
        given, folder = _of_json(path), path.parent
        graphs.names()  # This makes the folder's modules importable.
    return _parsed({**given, **settings.STORE}, folder)


def _of_json(path: Path) -> dict[str, Any]:
    try:
        store = json.loads(path.read_text(encoding="utf-8")).get("store") or {}
    except (OSError, ValueError, AttributeError):
        return {}  # The check of the graphs reports it.
    if not isinstance(store, dict):
        raise ImproperlyConfigured(f"The 'store' of {path} is not an object.")
    return store


def _parsed(given: Mapping[str, Any], folder: Path | None) -> StoreConfig:
    for name, part in given.items():
        if (
            name not in KNOWN
            or not isinstance(part, Mapping | None)
            or (unknown := set(part or ()) - KNOWN[name])
        ):
            wrong = f"{name}.{min(unknown)}" if name in KNOWN and isinstance(part, Mapping) else name
            raise ImproperlyConfigured(
                f"The store's configuration has {wrong!r}, which is not known or not an object; it may have "
                "index (embed, dims, fields) and ttl (default_ttl, refresh_on_read)."
            )
    ttl, index = given.get("ttl") or {}, given.get("index")
    return StoreConfig(
        default_ttl=_minutes(ttl.get("default_ttl")),
        refresh_on_read=bool(ttl.get("refresh_on_read", True)),
        index=_index(index, folder) if index else None,
        item_limit=settings.ITEM_LIMIT,
        user_limit=settings.USER_STORE,
    )


def _minutes(value: Any) -> float | None:
    if value is None:
        return None
    from threads.expiry import LONGEST  # Imported here because it imports models.

    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 < value <= LONGEST:
        raise ImproperlyConfigured(
            f"The store's default_ttl is {value!r}: it must be a positive number of minutes, at most {LONGEST:.0f}."
        )
    return float(value)


def _index(given: Mapping[str, Any], folder: Path | None) -> Index:
    embed, dims, fields = given.get("embed"), given.get("dims"), given.get("fields") or [WHOLE]
    if not isinstance(dims, int) or isinstance(dims, bool) or not 0 < dims <= MOST_DIMS:
        raise ImproperlyConfigured(f"The store's index has dims {dims!r}: it must be from 1 to {MOST_DIMS}.")
    if not isinstance(fields, list | tuple) or not all(isinstance(each, str) for each in fields):
        raise ImproperlyConfigured(f"The store's index has fields {fields!r}: they must be a list of paths.")
    try:
        embeddings = ensure_embeddings(_named(embed, folder) if isinstance(embed, str) else embed)
    except (Exception, SystemExit) as error:
        raise ImproperlyConfigured(
            f"The store's embedding {embed!r} cannot be loaded: {describe(error)}."
        ) from error
    name = embed if isinstance(embed, str) else getattr(embed, "__qualname__", type(embed).__qualname__)
    return Index(embeddings, dims, f"{name}/{dims}"[-255:], tuple(fields))


def _named(embed: str, folder: Path | None) -> Any:
    """The object of that name in a file or module; the text itself for a "provider:model", which
    has no dots.
    """
    where, _, _ = embed.rpartition(":")
    return import_object(embed, folder=folder) if "." in where or "/" in where else embed


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    if setting == "RUNS":
        configuration.cache_clear()


setting_changed.connect(_on_setting_changed, dispatch_uid="runs.graphs.store_settings")
