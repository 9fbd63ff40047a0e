"""Errors of operations on the store."""

from __future__ import annotations


class InvalidKey(ValueError):
    """The key is invalid."""


class InvalidValue(ValueError):
    """The value of an item is not a JSON object."""


class TooLarge(ValueError):
    """An item, or all items of a user together, would exceed the site's limit."""


class InvalidTtl(ValueError):
    """The time to live is invalid."""


class InvalidFilter(ValueError):
    """The filter is invalid."""


class InvalidIndex(ValueError):
    """The paths to texts are invalid."""


class EmbeddingFailed(RuntimeError):
    """The embedding model failed, or its answer does not match its configuration.

    Nothing was stored.
    """
