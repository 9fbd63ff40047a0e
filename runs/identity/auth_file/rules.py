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

#: What a request's queries cost. `keyed`: they find their rows by ids, or their number has a bound. `limited`: as
#: many rows as there are; the whole request has the time limit of searches. `partly`: the route limits the time
#: of those of its reads that are not `keyed`; its writes are not interrupted.
COSTS = ("keyed", "limited", "partly")

#: Each route's resource and action, what it costs, and the scope if it differs from the action's. Path parameters
#: are unnamed.
TABLE = """
    POST   /assistants                         assistants create          keyed
    POST   /assistants/search                  assistants search          limited
    POST   /assistants/count                   assistants search          limited
    GET    /assistants/{}                      assistants read            keyed
    PATCH  /assistants/{}                      assistants update          keyed
    DELETE /assistants/{}                      assistants delete          partly
    GET    /assistants/{}/graph                assistants read            keyed
    GET    /assistants/{}/schemas              assistants read            keyed
    GET    /assistants/{}/subgraphs            assistants read            keyed
    GET    /assistants/{}/subgraphs/{}         assistants read            keyed
    POST   /assistants/{}/versions             assistants read            limited
    POST   /assistants/{}/latest               assistants update          keyed

    POST   /threads                            threads    create          keyed
    POST   /threads/search                     threads    search          limited
    POST   /threads/count                      threads    search          limited
    POST   /threads/prune                      threads    delete          keyed
    GET    /threads/{}                         threads    read            keyed
    PATCH  /threads/{}                         threads    update          keyed
    DELETE /threads/{}                         threads    delete          keyed
    GET    /threads/{}/state                   threads    read            keyed
    POST   /threads/{}/state                   threads    update          keyed
    PATCH  /threads/{}/state                   threads    update          keyed
    GET    /threads/{}/state/{}                threads    read            keyed
    POST   /threads/{}/state/checkpoint        threads    read            keyed
    GET    /threads/{}/history                 threads    read            limited
    POST   /threads/{}/history                 threads    read            limited
    POST   /threads/{}/copy                    threads    read            partly  write
    GET    /threads/{}/stream                  threads    read            keyed
    GET    /threads/{}/storage                 threads    read            limited
    POST   /threads/{}/commands                threads    read            keyed
    POST   /threads/{}/stream/events           threads    read            keyed
    POST   /threads/{}/ticket                  threads    read            keyed

    POST   /threads/{}/runs                    threads    create_run      keyed
    POST   /threads/{}/runs/stream             threads    create_run      keyed
    POST   /threads/{}/runs/wait               threads    create_run      keyed
    GET    /threads/{}/runs                    threads    read            limited
    GET    /threads/{}/runs/{}                 threads    read            keyed
    DELETE /threads/{}/runs/{}                 threads    delete          keyed
    GET    /threads/{}/runs/{}/join            threads    read            keyed
    GET    /threads/{}/runs/{}/stream          threads    read            keyed
    POST   /threads/{}/runs/{}/cancel          threads    update          keyed
    POST   /runs                               threads    create_run      keyed
    POST   /runs/stream                        threads    create_run      keyed
    POST   /runs/wait                          threads    create_run      keyed
    POST   /runs/batch                         threads    create_run      keyed
    POST   /runs/cancel                        threads    update          partly
    GET    /runs/{}/join                       threads    read            keyed
    GET    /runs/{}/stream                     threads    read            keyed

    POST   /runs/crons                         crons      create          keyed
    POST   /threads/{}/runs/crons              crons      create          keyed
    POST   /runs/crons/search                  crons      search          limited
    POST   /runs/crons/count                   crons      search          limited
    GET    /runs/crons/{}                      crons      read            keyed
    PATCH  /runs/crons/{}                      crons      update          keyed
    DELETE /runs/crons/{}                      crons      delete          keyed

    PUT    /store/items                        store      put             partly
    GET    /store/items                        store      get             keyed
    DELETE /store/items                        store      delete          keyed
    POST   /store/items/search                 store      search          limited
    POST   /store/namespaces                   store      list_namespaces limited
"""


@dataclass(frozen=True, slots=True)
class Rule:
    resource: str
    action: str
    #: One of `COSTS`.
    cost: str
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
            method, path, resource, action, cost, *scope = line.split()
            last = path.rpartition("/")[2]
            rules[method, path] = Rule(
                resource,
                action,
                cost,
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
    "run.start": Rule("threads", "create_run", "keyed"),
    "input.respond": Rule("threads", "create_run", "keyed"),
    "state.fork": Rule("threads", "create_run", "keyed"),
    "agent.getTree": Rule("threads", "read", "limited"),
    "state.get": Rule("threads", "read", "keyed"),
    "state.listCheckpoints": Rule("threads", "read", "limited"),
    "subscription.subscribe": Rule("threads", "read", "keyed"),
    "subscription.reconnect": Rule("threads", "read", "keyed"),
}
#: The rule of an open socket.
SOCKET = RULES["POST", "/threads/{}/stream/events"]
#: The rule of cancelling a run, which a reader's disconnect may do as well.
CANCEL = RULES["POST", "/threads/{}/runs/{}/cancel"]


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
