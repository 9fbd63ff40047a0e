"""Streamed messages that are not in the state yet, and are lost with their attempt. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from runs.encoding import decode, encode
from runs.protocols.agent.messages import Json, Namespace, Piece


class Streamed:
    """A run's latest values by namespace, and the messages streamed after them."""

    def __init__(self) -> None:
        self._values: dict[Namespace, str] = {}
        self._messages: dict[Namespace, list[str]] = {}

    def values(self, namespace: Namespace) -> Json:
        """A namespace's latest values; empty before the first, or if they are no object."""
        values = decode(self._values.get(namespace, "{}"))
        return values if isinstance(values, dict) else {}

    def note_values(self, namespace: Namespace, values: str) -> None:
        self._values[namespace] = values
        self._messages.pop(namespace, None)

    def note(self, piece: Piece) -> None:
        if piece.data["event"] == "message-start" and piece.data["id"]:
            self._messages.setdefault(piece.namespace, []).append(piece.data["id"])

    def forget(self, namespace: Namespace) -> None:
        """Drop a namespace that has ended."""
        self._values.pop(namespace, None)
        self._messages.pop(namespace, None)

    def withdrawn(self) -> Iterator[tuple[Namespace, str]]:
        """The values that make clients remove the messages of a lost attempt.

        Stock clients show a streamed message until one state contains it and a later one does not.
        So they get both states.
        """
        for namespace, ids in self._messages.items():
            values = self.values(namespace)
            if isinstance(kept := values.get("messages"), list):
                lost = [{"type": "ai", "id": each, "content": ""} for each in ids]
                yield namespace, encode({**values, "messages": [*kept, *lost]})
                yield namespace, self._values[namespace]
        self._messages.clear()
