"""Users as Auth handlers and graphs see them: the result of an Auth file's `authenticate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class AuthUser(Mapping[str, Any]):
    """A user with LangGraph's four properties.

    The Auth file's other details are items and attributes.
    """

    __slots__ = ("_details",)

    def __init__(self, details: Mapping[str, Any]) -> None:
        identity = details["identity"]
        defaults = {"is_authenticated": True, "display_name": identity, "permissions": []}
        self._details = {**defaults, **details}

    @property
    def identity(self) -> str:
        return str(self._details["identity"])

    @property
    def display_name(self) -> str:
        return str(self._details["display_name"])

    @property
    def is_authenticated(self) -> bool:
        return bool(self._details["is_authenticated"])

    @property
    def permissions(self) -> Sequence[str]:
        return list(self._details["permissions"] or ())

    def __getattr__(self, name: str) -> Any:
        # Copying and unpickling look for special methods on an object that has no details yet.
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._details[name]
        except KeyError:
            raise AttributeError(f"The user has no {name!r}.") from None

    def __getitem__(self, key: str) -> Any:
        return self._details[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._details)

    def __len__(self) -> int:
        return len(self._details)

    def __repr__(self) -> str:
        """Without the details, because they may be secrets and would appear in logs."""
        return f"AuthUser({self.identity!r})"
