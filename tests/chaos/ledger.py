"""What the clients know: their runs, what they saw of them, and how often they retried."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.shapes import STAGES, Order
from tests.processes.readers import Position

#: What a client knows of a run that it asked for.
CREATED, UNKNOWN, REFUSED = "created", "unknown", "refused"
#: The users that own threads.
USERS = ("ada", "bob", "eve")

#: The lists in a thread's values.
Lists = dict[str, list[str]]


@dataclass
class Creation:
    """A run that a client asked for."""

    order: Order
    thread_id: str
    state: str = UNKNOWN
    run_id: str = ""
    #: Its answer to an interrupt, or another name that distinguishes runs of the same order.
    label: str = ""
    #: How the client cancelled it: "interrupt" or "rollback".
    cancelled: str = ""
    #: Whether the client asked for its deletion, or its thread's.
    deleted: bool = False
    #: What it adds to the thread's values; None if it is alone on its thread and completes.
    adds: Lists | None = None
    #: The values that it continues from, if not the thread's: a fork.
    base: Lists | None = None
    #: Exactly the steps that it executes if it succeeds.
    steps: tuple[str, ...] = ()
    #: The thread's status after it.
    leaves: str = "idle"

    def __post_init__(self) -> None:
        self.steps = self.steps or tuple(STAGES[self.order.graph])

    @property
    def key(self) -> str:
        """A unique key, stored in the run's metadata."""
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
    """What happens on one thread; its kind defines the right results."""

    kind: str
    thread_id: str
    #: The thread's owner.
    user: str = USERS[0]
    #: The multitask strategy of the thread's later runs.
    strategy: str = "enqueue"
    acts: list[Creation | Edit] = field(default_factory=list)
    #: How often the client forked at a checkpoint that has a successor, by the checkpoint's id.
    forks: dict[str, int] = field(default_factory=dict)
    #: The result of deleting the thread; "" if it was not deleted.
    deletion: str = ""
    #: Whether the script completed, or stopped because of a missing answer.
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
    #: A digest of each event's name and data, by its id.
    digests: dict[str, str] = field(default_factory=dict)
    #: Digests of the texts of large events, by the step that made them.
    bulks: dict[str, list[str]] = field(default_factory=dict)
    connections: int = 0
    #: Whether the stream ended: the run is final, and all events were read.
    complete: bool = False


@dataclass
class Ledger:
    stories: list[Story] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    #: Violations that were observed during the test.
    violations: list[str] = field(default_factory=list)
    #: Requests, retries and the like.
    counts: Counter[str] = field(default_factory=Counter)

    def creations(self) -> list[Creation]:
        return [creation for story in self.stories for creation in story.creations]
