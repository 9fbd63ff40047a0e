"""The configuration of a store: which texts of an item are embedded, and by which model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.embeddings import Embeddings
from langgraph.store.base import get_text_at_path, tokenize_path

from threads.db.executors import embedders, executed_by
from threads.db.values.text import is_text
from threads.store.exceptions import EmbeddingFailed, InvalidIndex
from threads.store.vectors import pack, unit

#: The path of a whole value.
WHOLE = "$"
#: The most paths that a put may name, the fields of a path such as `{title,text}` counted one by one; the most
#: characters of a path, and the most texts of an item that are embedded.
MOST_PATHS, LONGEST_PATH, MOST_TEXTS = 32, 512, 100

#: The paths of a put: None for the configured ones, False for none.
Paths = Sequence[str] | bool | None


@dataclass(frozen=True, slots=True)
class Index:
    """How items are embedded."""

    embeddings: Embeddings
    dims: int
    #: Identifies vectors of this embedding.
    name: str
    fields: tuple[str, ...] = (WHOLE,)
    tokens: list[str | list[str]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", _tokens(self.fields))

    def texts(self, value: Mapping[str, Any], paths: Paths) -> list[str]:
        """The texts of a value to embed. For a large value this takes a while: not for the event loop.

        Raises InvalidIndex for invalid paths, and for too many texts.
        """
        if paths is False:
            return []
        tokens = self.tokens if paths is None or paths is True else _tokens(check_paths(paths))
        found: list[str] = []
        for each in tokens:
            found += filter(None, get_text_at_path(value, each))
            if len(found) > MOST_TEXTS:
                raise InvalidIndex(
                    f"The index leads to {len(found)} texts or more; at most {MOST_TEXTS} are embedded."
                )
        return found

    async def vectors(self, texts_of_items: Sequence[Sequence[str]]) -> list[bytes]:
        """The vectors of each item's texts. Raises EmbeddingFailed."""
        distinct = list(dict.fromkeys(text for texts in texts_of_items for text in texts))
        if not distinct:
            return [b""] * len(texts_of_items)
        try:
            with executed_by(embedders):
                answer = await self.embeddings.aembed_documents(distinct)
            made = dict(zip(distinct, self._checked(answer), strict=True))
            return [pack(made[text] for text in texts) for texts in texts_of_items]
        except Exception as error:
            raise self._failure(error) from error

    async def query(self, text: str) -> tuple[float, ...]:
        """The vector of a query. Raises EmbeddingFailed."""
        try:
            with executed_by(embedders):
                answer = await self.embeddings.aembed_query(text)
            (vector,) = self._checked([answer])
            return unit(vector)
        except Exception as error:
            raise self._failure(error) from error

    def _checked(self, vectors: Iterable[Sequence[float]]) -> list[Sequence[float]]:
        every = list(vectors)
        for each in every:
            if len(each) != self.dims:
                raise ValueError(f"it has {len(each)} dimensions, and {self.dims} are configured")
        return every

    def _failure(self, error: Exception) -> EmbeddingFailed:
        return EmbeddingFailed(f"The embedding {self.name!r} failed: {type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A site's configuration of its store."""

    #: The default time to live of an item, in minutes; None for no expiry.
    default_ttl: float | None = None
    #: Whether reads extend the expiry by default.
    refresh_on_read: bool = True
    #: None: `query` is ignored.
    index: Index | None = None
    #: The most bytes of an item, and of all items of a user, as JSON; 0 for no limit.
    item_limit: int = 0
    user_limit: int = 0


def check_paths(paths: Any) -> Sequence[str]:
    """A put's paths. Raises InvalidIndex if they are invalid."""
    if not isinstance(paths, list | tuple) or not all(isinstance(each, str) for each in paths):
        raise InvalidIndex("An index is false, or a list of paths such as 'text' and 'messages[*].content'.")
    # Each field of a path is looked up, and written as JSON, on its own.
    if sum(1 + path.count(",") for path in paths) > MOST_PATHS or not all(map(is_text, paths)):
        raise InvalidIndex(f"An index has at most {MOST_PATHS} paths, without control characters.")
    if any(len(path) > LONGEST_PATH for path in paths):
        raise InvalidIndex(f"A path of an index has at most {LONGEST_PATH} characters.")
    return paths


def _tokens(paths: Iterable[str]) -> list[str | list[str]]:
    return [path if path == WHOLE else tokenize_path(path) for path in paths]
