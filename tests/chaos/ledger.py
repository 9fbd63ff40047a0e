"""What the clients know: which runs they created, what they saw of them, and how often they had to try."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.shapes import STAGES, Order
from tests.processes.readers import Position

#: What a client knows of a run that it asked for.
CREATED, UNKNOWN, REFUSED = "created", "unknown", "refused"
#: Whose threads there are.
USERS = ("ada", "bob", "eve")

#: Of a thread's values: what each list has.
Lists = dict[str, list[str]]


@dataclass
class Creation:
    """A run that a client asked for."""

    order: Order
    thread_id: str
    state: str = UNKNOWN
    run_id: str = ""
    #: The answer that it carries to a question, or another name for one of several runs of an order.
    label: str = ""
    #: How the client asked for its end: "interrupt" or "rollback".
    cancelled: str = ""
    #: Whether the client asked for its deletion, or its thread's.
    deleted: bool = False
    #: What it adds to the thread's values; None if it is alone on its thread and comes to its end.
    adds: Lists | None = None
    #: What it goes on from, if that is not what the thread has: a fork.
    base: Lists | None = None
    #: The steps that it executes if it succeeds: all of them, and no others.
    steps: tuple[str, ...] = ()
    #: The thread's status after it.
    leaves: str = "idle"

    def __post_init__(self) -> None:
        self.steps = self.steps or tuple(STAGES[self.order.graph])

    @property
    def key(self) -> str:
        """Unique; the run's metadata has it."""
        return self.label or self.order.tag


@dataclass
class Edit:
    """A change of a thread's state that a client asked for."""

    text: str
    adds: Lists
    base: Lists | None = None
    state: str = UNKNOWN
    leaves: str = "interrupted"


@dataclass
class Story:
    """What happens on one thread: its kind says what is right."""

    kind: str
    thread_id: str
    #: Whose thread it is.
    user: str = USERS[0]
    #: What the thread's later runs do about earlier ones.
    strategy: str = "enqueue"
    acts: list[Creation | Edit] = field(default_factory=list)
    #: How often the client asked to go on from a checkpoint that has a successor, by the checkpoint's id.
    forks: dict[str, int] = field(default_factory=dict)
    #: What came of deleting the thread; "" if nobody asked.
    deletion: str = ""
    #: Whether the script came to its end, or gave up because an answer never came.
    ended: bool = False

    @property
    def creations(self) -> list[Creation]:
        return [act for act in self.acts if isinstance(act, Creation)]


@dataclass
class Reading:
    """What one reader saw of a run's stream."""

    run_id: str
    ids: list[Position] = field(default_factory=list)
    #: The text of the messages, by epoch.
    texts: dict[int, str] = field(default_factory=dict)
    #: Of each event's name and data, by its id.
    digests: dict[str, str] = field(default_factory=dict)
    #: Of the texts of large events, by the step that made them.
    bulks: dict[str, list[str]] = field(default_factory=dict)
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
