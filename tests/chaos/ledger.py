"""What the clients know: which runs they created, what they saw of them, and how often they had to try."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.shapes import Order
from tests.server.readers import Position

#: What a client knows of a run that it asked for.
CREATED, UNKNOWN, REFUSED = "created", "unknown", "refused"


@dataclass
class Creation:
    """A run that a client asked for."""

    order: Order
    #: The conversation that it belongs to: `Story.kind` of its thread.
    thread_id: str
    state: str = UNKNOWN
    run_id: str = ""
    #: The answer that it carries to a question.
    answer: str = ""
    #: How the client asked for its end: "interrupt" or "rollback".
    cancelled: str = ""

    @property
    def key(self) -> str:
        """Unique; the run's metadata has it."""
        return self.order.tag if not self.answer else self.answer


@dataclass
class Story:
    """What happens on one thread: its kind says what is right."""

    kind: str
    thread_id: str
    #: What the thread's later runs do about earlier ones.
    strategy: str = "enqueue"
    creations: list[Creation] = field(default_factory=list)
    #: Whether the script came to its end, or gave up because an answer never came.
    ended: bool = False


@dataclass
class Reading:
    """What one reader saw of a run's stream."""

    run_id: str
    ids: list[Position] = field(default_factory=list)
    #: The text of the messages, by epoch.
    texts: dict[int, str] = field(default_factory=dict)
    connections: int = 0
    #: Whether the stream came to its end: the run is final, and nothing is left.
    complete: bool = False


@dataclass
class Ledger:
    stories: list[Story] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    #: What went wrong while it was watched.
    violations: list[str] = field(default_factory=list)
    #: Requests, retries and the like.
    counts: Counter[str] = field(default_factory=Counter)

    def creations(self) -> list[Creation]:
        return [creation for story in self.stories for creation in story.creations]
