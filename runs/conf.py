"""Typed settings with defaults, read from the `RUNS` dictionary of Django's settings each time.

Reading each time makes `override_settings(RUNS=…)` work in tests, with nothing to reset. `runs.checks.configuration` reports
unknown names and values that are not allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

CHOICES = {
    "RECOVERY": ("resume", "error"),
    "ON_SHUTDOWN": ("requeue", "interrupt"),
    "THREAD_TTL_STRATEGY": ("delete", "keep_latest"),
}


class RunSettings:
    """What can be configured, with its default. Times are in seconds, sizes in bytes."""

    #: Graph name to "module:object", or to {"path": …, "description": …}.
    GRAPHS: dict[str, Any] = {}
    #: Path of a langgraph.json whose `graphs` are registered too; "" for none.
    LANGGRAPH_JSON: str = ""
    #: Modules ("package.module"), or classes ("package.module:Class"), that checkpoints may restore, besides those that the
    #: graphs' schemas name.
    CHECKPOINT_MODULES: tuple[str, ...] = ()
    #: The checkpoints' own file when the database is SQLite.
    CHECKPOINTS_FILE: str | Path = "var/checkpoints.sqlite3"

    #: Runs that one process executes at once.
    CONCURRENCY: int = 100
    #: Runs of one user, and runs in all, that all processes together execute at once; 0 for any number.
    USER_CONCURRENCY: int = 0
    TOTAL_CONCURRENCY: int = 0
    #: Limits (`runs.requests.limits`), 0 for none. Runs of one user that may wait, and that may be created in a minute.
    USER_QUEUE: int = 1000
    USER_RUNS_PER_MINUTE: int = 600
    #: Threads and crons that one user may have, and streams and websockets that one user may have open.
    USER_THREADS: int = 100_000
    USER_CRONS: int = 1000
    USER_CONNECTIONS: int = 100
    #: Messages in the input of one run.
    MESSAGES_PER_INPUT: int = 200
    #: Largest write of a checkpoint, and largest event. An event may have a whole state in it.
    STATE_LIMIT: int = 16 * 1024 * 1024
    EVENT_LIMIT: int = 16 * 1024 * 1024
    #: Largest page of a list or a search; a page that would be larger has fewer rows, and a next page.
    PAGE_LIMIT: int = 10 * 1024 * 1024
    #: Largest item of the store, assistant, and edit of a thread's state, as JSON.
    ITEM_LIMIT: int = 1024 * 1024
    ASSISTANT_LIMIT: int = 1024 * 1024
    EDIT_LIMIT: int = 1024 * 1024
    #: Size of all items that one user may have in the store, as JSON.
    USER_STORE: int = 1024 * 1024 * 1024
    #: Events of one attempt of a run that are kept.
    EVENTS_PER_RUN: int = 100_000
    #: Wall-clock limit of one attempt of a run, and how long it may stream nothing; 0 for none.
    RUN_TIMEOUT: float = 3600.0
    IDLE_TIMEOUT: float = 1800.0
    #: How long a cancelled node may ignore its cancellation before its run is abandoned.
    CANCEL_GRACE: float = 5.0
    #: What happens to a run whose process died: `resume` it, or mark it `error`.
    RECOVERY: str = "resume"
    #: Attempts that may end with a dead process before the run ends in `error`.
    MAX_ATTEMPTS: int = 3

    #: How long the shutdown may take, status writes included.
    DRAIN_SECONDS: float = 20.0
    #: What becomes of a run that the shutdown stopped: back to `pending` (`requeue`), or `interrupted`.
    ON_SHUTDOWN: str = "requeue"

    #: Until when the database believes that a silent worker is alive.
    LEASE: float = 30.0
    HEARTBEAT: float = 5.0
    #: How often dead workers are looked for, and how often everything that may have been left behind.
    PROBE: float = 1.0
    SWEEP: float = 5.0
    #: On PostgreSQL: how long a run waits for a process that has its graph, as in a rolling deploy, before it ends in an error.
    GRAPH_WAIT: float = 600.0
    #: How often pending runs are looked for when no wake-up came.
    POLL: float = 1.0

    #: How long a node may block the event loop before the log says where; 0 for no watch.
    LOOP_ALARM: float = 2.0
    #: Whether a process ends whose event loop is blocked for longer than the lease; never with DEBUG or under a debugger.
    LOOP_EXIT: bool = True

    #: Longest time that an event waits for others before it is written to the log.
    EVENT_FLUSH: float = 0.03
    #: Events of one run kept in memory for readers of this process.
    EVENT_BUFFER: int = 2048
    #: How often a reader looks at the log of a run that another process executes, while wake-ups do not arrive; while
    #: they do, ten times more seldom.
    EVENT_POLL: float = 0.2
    #: Comment interval of an idle event stream; stock clients reconnect after 6 to 30 s of silence.
    STREAM_HEARTBEAT: float = 5.0

    #: Largest message of a client on a websocket.
    SOCKET_MESSAGE_LIMIT: int = 1024 * 1024
    #: How often it is checked that who reads a stream or has a websocket open still is who it was, and may.
    IDENTITY_CHECK: float = 30.0

    #: How long the events of a run are kept after its end, 0 for ever. They are most of what a run writes and serve only
    #: who reads its stream again; what it came to is kept with the run and its thread.
    EVENT_RETENTION: float = 30 * 86_400.0
    #: How long a run is kept after its end, 0 for ever: a site's record is nobody's to delete unasked. The newest
    #: finished run of a thread stays with the thread.
    RUN_RETENTION: float = 0.0
    #: After how many minutes without a run a thread expires whose client does not say; 0 for never.
    THREAD_TTL: float = 0.0
    #: What is done with it then: `delete` it, or `keep_latest`: only its present state.
    THREAD_TTL_STRATEGY: str = "delete"
    #: The store's embedding and times to live, in the form of a langgraph.json's `store` (`runs.graphs.store_settings`).
    STORE: dict[str, Any] = {}
    #: How often what is older is removed.
    RETENTION_SWEEP: float = 300.0

    #: Sites whose pages may use the API and its websockets from a browser, by a key: origins (`https://example.com`),
    #: "loopback" for this machine's own development servers, "*" for all.
    CORS_ORIGINS: tuple[str, ...] = ()
    #: Schemes and hosts that webhooks may have; `*.example.com` is all hosts below it, and no hosts are any.
    WEBHOOK_SCHEMES: tuple[str, ...] = ("https",)
    WEBHOOK_HOSTS: tuple[str, ...] = ()
    #: Networks that are not public and that webhooks may reach nevertheless, such as "10.1.0.0/16".
    WEBHOOK_NETWORKS: tuple[str, ...] = ()
    #: What webhooks are signed with, each secret `whsec_` and base64; two while the old one is being replaced.
    WEBHOOK_SECRETS: tuple[str, ...] = ()
    #: How long one attempt may take, and how many there are: ten are spread over about half a day.
    WEBHOOK_TIMEOUT: float = 15.0
    WEBHOOK_ATTEMPTS: int = 10
    #: How long a webhook is kept after it was delivered or given up, 0 for ever.
    WEBHOOK_RETENTION: float = 7 * 86_400.0

    #: Largest request body.
    BODY_LIMIT: int = 8 * 1024 * 1024
    #: Deepest nesting of a JSON body.
    JSON_DEPTH: int = 64
    #: Whether a request without credentials acts as the built-in local user.
    LOCAL_USER: bool = False

    def __getattribute__(self, name: str) -> Any:
        default = super().__getattribute__(name)
        return getattr(django_settings, "RUNS", {}).get(name, default) if name.isupper() else default


settings = RunSettings()
