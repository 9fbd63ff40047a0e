"""The permissions that each route requires, in one table. Pure: no Django, no database.

A route's resource and action are those of an Auth file's handlers (reference API §9); runs are
authorised as their threads. The scope that a key needs follows from the action.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from runs.identity.principals import READ, WRITE

READING = frozenset({"read", "search", "get", "list_namespaces"})
#: The last part of a path whose response stays open for an unlimited time.
STAYING = frozenset({"stream", "wait", "join", "events"})

#: Each route's resource and action, and the scope if it differs from the action's. Path parameters are
#: unnamed.
TABLE = """
    POST   /assistants                          assistants create
    POST   /assistants/search                   assistants search
    POST   /assistants/count                    assistants search
    GET    /assistants/{}                       assistants read
    PATCH  /assistants/{}                       assistants update
    DELETE /assistants/{}                       assistants delete
    GET    /assistants/{}/graph                 assistants read
    GET    /assistants/{}/schemas               assistants read
    GET    /assistants/{}/subgraphs             assistants read
    GET    /assistants/{}/subgraphs/{}          assistants read
    POST   /assistants/{}/versions              assistants read
    POST   /assistants/{}/latest                assistants update

    POST   /threads                             threads create
    POST   /threads/search                      threads search
    POST   /threads/count                       threads search
    POST   /threads/prune                       threads delete
    GET    /threads/{}                          threads read
    PATCH  /threads/{}                          threads update
    DELETE /threads/{}                          threads delete
    GET    /threads/{}/state                    threads read
    POST   /threads/{}/state                    threads update
    PATCH  /threads/{}/state                    threads update
    GET    /threads/{}/state/{}                 threads read
    POST   /threads/{}/state/checkpoint         threads read
    GET    /threads/{}/history                  threads read
    POST   /threads/{}/history                  threads read
    POST   /threads/{}/copy                     threads read write
    GET    /threads/{}/stream                   threads read
    GET    /threads/{}/storage                  threads read
    POST   /threads/{}/commands                 threads read
    POST   /threads/{}/stream/events            threads read
    POST   /threads/{}/ticket                   threads read

    POST   /threads/{}/runs                     threads create_run
    POST   /threads/{}/runs/stream              threads create_run
    POST   /threads/{}/runs/wait                threads create_run
    GET    /threads/{}/runs                     threads read
    GET    /threads/{}/runs/{}                  threads read
    DELETE /threads/{}/runs/{}                  threads delete
    GET    /threads/{}/runs/{}/join             threads read
    GET    /threads/{}/runs/{}/stream           threads read
    POST   /threads/{}/runs/{}/cancel           threads update
    POST   /runs                                threads create_run
    POST   /runs/stream                         threads create_run
    POST   /runs/wait                           threads create_run
    POST   /runs/batch                          threads create_run
    POST   /runs/cancel                         threads update
    GET    /runs/{}/join                        threads read
    GET    /runs/{}/stream                      threads read

    POST   /runs/crons                          crons create
    POST   /threads/{}/runs/crons               crons create
    POST   /runs/crons/search                   crons search
    POST   /runs/crons/count                    crons search
    GET    /runs/crons/{}                       crons read
    PATCH  /runs/crons/{}                       crons update
    DELETE /runs/crons/{}                       crons delete

    PUT    /store/items                         store put
    GET    /store/items                         store get
    DELETE /store/items                         store delete
    POST   /store/items/search                  store search
    POST   /store/namespaces                    store list_namespaces
"""


@dataclass(frozen=True, slots=True)
class Rule:
    resource: str
    action: str
    #: Whether the response stays open for an unlimited time, and counts as one of its user's connections.
    stays: bool = False
    makes_thread: bool = False
    #: Whether the body is a command of the streaming protocol; each command has its own rule (`COMMANDS`).
    command: bool = False
    #: Whether the body is a list whose parts are checked one by one.
    batch: bool = False
    #: The minimal scope, for a route that does more than its action, which only reads.
    least_scope: str = READ

    @property
    def scope(self) -> str:
        """The scope that an API key needs."""
        return self.least_scope if self.action in READING else WRITE


def _read(table: str) -> dict[tuple[str, str], Rule]:
    rules = {}
    for line in table.split("\n"):
        if line.strip():
            method, path, resource, action, *scope = line.split()
            last = path.rpartition("/")[2]
            rules[method, path] = Rule(
                resource,
                action,
                stays=last in STAYING,
                makes_thread=(resource, action) == ("threads", "create") or last == "copy",
                command=last == "commands",
                batch=last == "batch",
                least_scope=scope[0] if scope else READ,
            )
    return rules


RULES = _read(TABLE)
#: The rule of each command of the streaming protocol, over HTTP and over a websocket.
COMMANDS = {
    "run.start": Rule("threads", "create_run"),
    "input.respond": Rule("threads", "create_run"),
    "state.fork": Rule("threads", "create_run"),
    "agent.getTree": Rule("threads", "read"),
    "state.get": Rule("threads", "read"),
    "state.listCheckpoints": Rule("threads", "read"),
    "subscription.subscribe": Rule("threads", "read"),
    "subscription.reconnect": Rule("threads", "read"),
}
#: The rule of an open socket.
SOCKET = RULES["POST", "/threads/{}/stream/events"]


#: The rules of a websocket that connects or sends a command, and of a command that starts a run.
READS, STARTS = RULES["POST", "/threads/{}/stream/events"], RULES["POST", "/threads/{}/commands"]


@lru_cache(maxsize=512)
def rule_for(method: str, route: str) -> Rule | None:
    """The rule of a route in Django's or Ninja's form ("threads/<uuid:thread_id>"), or None.

    A HEAD request is a GET without a body.
    """
    path = "/" + re.sub(r"<[^>]*>|\{[^}]*\}", "{}", route).strip("/")
    return RULES.get(("GET" if method == "HEAD" else method, path))


@lru_cache(maxsize=512)
def is_known(route: str) -> bool:
    """Whether a route has a rule for any method."""
    return any(rule_for(method, route) for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
