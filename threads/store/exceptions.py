"""What can be wrong with an operation on the store."""

from __future__ import annotations


class InvalidKey(ValueError):
    """Nothing can be put under this key."""


class InvalidValue(ValueError):
    """This cannot be an item's value: it is not a JSON object."""


class TooLarge(ValueError):
    """An item, or all items of a user together, would be larger than the site allows."""


class InvalidTtl(ValueError):
    """This is no time for which an item can be kept."""


class InvalidFilter(ValueError):
    """No item can be compared with this."""


class InvalidIndex(ValueError):
    """These are no paths to texts."""


class EmbeddingFailed(RuntimeError):
    """The embedding model did not answer, or not as it is configured; nothing was stored."""
