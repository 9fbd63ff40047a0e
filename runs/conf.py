"""Typed settings with defaults, read from the `RUNS` dictionary of Django's settings each time.

Because they are read each time, `override_settings(RUNS=…)` works in tests without a reset.
`runs.checks.configuration` reports unknown names and values that are not allowed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.db import DEFAULT_DB_ALIAS, connections

CHOICES = {
    "RECOVERY": ("resume", "error"),
    "ON_SHUTDOWN": ("requeue", "interrupt"),
    "THREAD_TTL_STRATEGY": ("delete", "keep_latest"),
    "OWNERSHIP": ("user", "auth"),
}


class RunSettings:
    """What can be configured, with its default. Times are in seconds, sizes in bytes."""

    #: Graphs by name, each "module:object" or {"path": …, "description": …}.
    GRAPHS: dict[str, Any] = {}
    #: Path of a langgraph.json whose `graphs` are registered too; "" for none.
    LANGGRAPH_JSON: str = ""
    #: Modules ("package.module") or classes ("package.module:Class") that checkpoints may restore, in addition to
    #: those that the graphs' schemas name.
    CHECKPOINT_MODULES: tuple[str, ...] = ()
    #: The separate file for checkpoints when the database is SQLite; "" for `checkpoints.sqlite3` beside the
    #: database. If only `var/checkpoints.sqlite3` exists, the default of earlier versions, it is that one.
    CHECKPOINTS_FILE: str | Path = ""

    #: LangChain callback handlers for every run, each "package.module.name": a handler, its class, or a function
    #: that is called with the run and makes one. They are called within the run.
    CALLBACKS: tuple[str, ...] = ()

    #: What a million tokens cost, as (input, output), by a model's name or the beginning of it; the longest one
    #: counts. Models without a price have no cost. The admin shows costs in the currency of these numbers.
    MODEL_PRICES: dict[str, Any] = {}

    #: Runs that one process executes at once.
    CONCURRENCY: int = 100
    #: Runs of one user that all processes together execute at once; 0 for no limit.
    USER_CONCURRENCY: int = 0
    #: Runs of all users that all processes together execute at once; 0 for no limit.
    TOTAL_CONCURRENCY: int = 0
    #: Pending runs that one user may have; 0 for no limit.
    USER_QUEUE: int = 1000
    #: Runs that one user may create in a minute; 0 for no limit.
    USER_RUNS_PER_MINUTE: int = 600
    #: Threads that one user may have; 0 for no limit.
    USER_THREADS: int = 100_000
    #: Crons that one user may have; 0 for no limit.
    USER_CRONS: int = 1000
    #: Streams and websockets that one user may have open; 0 for no limit.
    USER_CONNECTIONS: int = 100
    #: Connections that may be open to one process of `manage.py serve`; 0 for as many as it may open files.
    CONNECTIONS: int = 10_000
    #: How long an `Idempotency-Key` is remembered: a repeated request gets the first one's answer meanwhile.
    IDEMPOTENCY_RETENTION: float = 86_400.0
    #: Websockets that may be open to one process; 0 for no limit.
    SOCKETS: int = 5000
    #: Messages that a run's input and command may have; 0 for no limit.
    MESSAGES_PER_INPUT: int = 200
    #: Messages that an edit of a thread's state, or the supersteps of a new thread, may have; 0 for no limit.
    MESSAGES_PER_EDIT: int = 2000
    #: Largest write of a checkpoint; 0 for no limit.
    STATE_LIMIT: int = 16 * 1024 * 1024
    #: Largest event, in characters; 0 for no limit. An event may contain a whole state.
    EVENT_LIMIT: int = 16 * 1024 * 1024
    #: Largest page of a list or a search; 0 for no limit. A page that would be larger gets fewer rows, and a
    #: next page.
    PAGE_LIMIT: int = 10 * 1024 * 1024
    #: Largest item of the store, as JSON; 0 for no limit.
    ITEM_LIMIT: int = 1024 * 1024
    #: Largest assistant, and largest configuration of a run, as JSON; 0 for no limit.
    ASSISTANT_LIMIT: int = 1024 * 1024
    #: Largest edit of a thread's state, and largest metadata of a thread or checkpoint, as JSON; 0 for no limit.
    EDIT_LIMIT: int = 1024 * 1024
    #: Most bytes of checkpoints that a thread may have to be copied; 0 for no limit.
    COPY_LIMIT: int = 1024 * 1024 * 1024
    #: Total size of one user's items in the store, as JSON; 0 for no limit.
    USER_STORE: int = 1024 * 1024 * 1024
    #: Events that one attempt of a run may stream; 0 for no limit.
    EVENTS_PER_RUN: int = 100_000
    #: Wall-clock limit of one attempt of a run; 0 for none.
    RUN_TIMEOUT: float = 3600.0
    #: How long an attempt may stream nothing; 0 for no limit.
    IDLE_TIMEOUT: float = 1800.0
    #: How long a cancelled node may ignore its cancellation before its run is abandoned.
    CANCEL_GRACE: float = 5.0
    #: What happens to a run whose process died: `resume` requeues it, `error` ends it in an error.
    RECOVERY: str = "resume"
    #: Lost attempts, whose process died, after which the run ends in `error`.
    MAX_ATTEMPTS: int = 3

    #: How long a shutdown may take, including the writing of statuses.
    DRAIN_SECONDS: float = 20.0
    #: What happens to a run that a shutdown stopped: `requeue` makes it `pending` again, `interrupt` ends it
    #: as `interrupted`.
    ON_SHUTDOWN: str = "requeue"

    #: How long a worker counts as alive after its last heartbeat.
    LEASE: float = 30.0
    #: How often a worker renews its lease.
    HEARTBEAT: float = 5.0
    #: How often workers look for dead workers.
    PROBE: float = 1.0
    #: How often workers look for everything else that was left behind: orphaned runs, threads with stale
    #: values, and crons and webhooks that are due.
    SWEEP: float = 5.0
    #: On PostgreSQL: how long a run waits for a process that has its graph before it ends in an error. This
    #: allows for rolling deploys.
    GRAPH_WAIT: float = 600.0
    #: How often workers look for pending runs when no wake-up arrives.
    POLL: float = 1.0

    #: How long a node may block the event loop before the log shows where; 0 to disable the watchdog.
    LOOP_ALARM: float = 2.0
    #: Whether a process exits when its event loop is blocked for longer than the lease. It never does with
    #: DEBUG or under a debugger.
    LOOP_EXIT: bool = True

    #: Longest time that an event waits to be written to the log together with others.
    EVENT_FLUSH: float = 0.03
    #: Events of one run kept in memory for readers of this process.
    EVENT_BUFFER: int = 2048
    #: How often a reader polls the log of a run that another process executes. While wake-ups arrive, it
    #: polls ten times less often.
    EVENT_POLL: float = 0.2
    #: Comment interval of an idle event stream; stock clients reconnect after 6 to 30 s of silence.
    STREAM_HEARTBEAT: float = 5.0

    #: Largest message of a client on a websocket.
    SOCKET_MESSAGE_LIMIT: int = 1024 * 1024
    #: How often `manage.py serve` pings a client of a websocket that sends nothing.
    SOCKET_PING: float = 20.0
    #: How long `manage.py serve` waits for the answer to a ping before it drops the connection.
    SOCKET_PONG: float = 30.0
    #: How long a client of `manage.py serve` may read nothing of what was sent to it before it is disconnected.
    SOCKET_STALL: float = 30.0
    #: How often the server checks that the user of an open stream or websocket is still valid and still has
    #: access.
    IDENTITY_CHECK: float = 30.0

    #: How long the events of a run are kept after its end; 0 for no limit. They are most of what a run
    #: writes, and are needed only to read its stream again. The result is kept with the run and its thread.
    EVENT_RETENTION: float = 30 * 86_400.0
    #: How long a run is kept after its end; 0 for no limit, so that nothing is deleted unless the site sets
    #: this. The newest finished run of a thread is kept with the thread.
    RUN_RETENTION: float = 0.0
    #: Minutes without a run after which a thread expires, unless its client sets a time to live; 0 for never.
    THREAD_TTL: float = 0.0
    #: What happens to an expired thread: `delete` removes it, `keep_latest` keeps only its latest state.
    THREAD_TTL_STRATEGY: str = "delete"
    #: The store's embedding and time to live, in the form of a langgraph.json's `store`
    #: (`runs.graphs.store_settings`).
    STORE: dict[str, Any] = {}
    #: How often expired data is removed.
    RETENTION_SWEEP: float = 300.0

    #: Sites whose pages may use the API and its websockets from a browser, with an API key. Each is an origin
    #: (`https://example.com`), "loopback" for development servers on this machine, or "*" for all.
    CORS_ORIGINS: tuple[str, ...] = ()
    #: Methods that these pages may use; an empty list allows all.
    CORS_METHODS: tuple[str, ...] = ()
    #: Request headers that these pages may send; an empty list allows all.
    CORS_HEADERS: tuple[str, ...] = ()
    #: Response headers that these pages may read, in addition to those of the API.
    CORS_EXPOSED: tuple[str, ...] = ()
    #: How long a browser may cache what it may do.
    CORS_MAX_AGE: int = 600
    #: Patterns ("x-tenant-*") of request headers that a run gets in its `configurable`: {"includes": […],
    #: "excludes": […]}. Credentials are left out unless they are named.
    CONFIGURABLE_HEADERS: dict[str, Any] = {}
    #: Whether webhooks are sent.
    WEBHOOKS: bool = True
    #: Schemes that the URL of a webhook may have.
    WEBHOOK_SCHEMES: tuple[str, ...] = ("https",)
    #: Hosts that the URL of a webhook may have. `*.example.com` allows all hosts below it; an empty list
    #: allows any host.
    WEBHOOK_HOSTS: tuple[str, ...] = ()
    #: Private networks that webhooks may reach, such as "10.1.0.0/16".
    WEBHOOK_NETWORKS: tuple[str, ...] = ()
    #: Ports that the URL of a webhook may have; an empty list allows any.
    WEBHOOK_PORTS: tuple[int, ...] = ()
    #: Longest URL of a webhook, in characters.
    WEBHOOK_URL_LENGTH: int = 65_536
    #: Headers that each webhook is sent with, such as an authorization.
    WEBHOOK_HEADERS: dict[str, str] = {}
    #: Secrets that sign webhooks, each `whsec_` followed by base64. Two are set while one replaces the other.
    WEBHOOK_SECRETS: tuple[str, ...] = ()
    #: How long one attempt to deliver a webhook may take.
    WEBHOOK_TIMEOUT: float = 15.0
    #: How many attempts a delivery gets; ten are spread over about half a day.
    WEBHOOK_ATTEMPTS: int = 10
    #: How long a webhook is kept after it was delivered or abandoned; 0 for no limit.
    WEBHOOK_RETENTION: float = 7 * 86_400.0

    #: Largest request body of the API.
    BODY_LIMIT: int = 8 * 1024 * 1024
    #: Largest request body of the site's other pages, in addition to Django's own limits; 0 for no limit.
    SITE_BODY_LIMIT: int = 0
    #: Deepest nesting of a JSON body.
    JSON_DEPTH: int = 64
    #: To whom threads, runs, assistants, crons and store items belong: `user`, to the user who created them;
    #: `auth`, to all whom the Auth file's filters admit. Limits always count the creator's.
    OWNERSHIP: str = "user"
    #: Whether a request without credentials acts as the built-in local user.
    LOCAL_USER: bool = False

    def __getattribute__(self, name: str) -> Any:
        default = super().__getattribute__(name)
        if not name.isupper():
            return default
        value = getattr(django_settings, "RUNS", {}).get(name, default)
        if name == "CHECKPOINTS_FILE" and value == "":
            return checkpoints_beside(str(connections.settings[DEFAULT_DB_ALIAS]["NAME"]))
        return value


#: Where checkpoints were by default, relative to the folder in which a process was started.
FORMER = Path("var/checkpoints.sqlite3")


@lru_cache(maxsize=8)
def checkpoints_beside(database: str) -> Path:
    """The file for checkpoints if none is configured, by the name of the SQLite database. A process keeps to it."""
    if ":memory:" in database or database.startswith("file:"):
        return FORMER
    beside = Path(database).with_name("checkpoints.sqlite3")
    return FORMER if FORMER.exists() and not beside.exists() else beside


settings = RunSettings()
