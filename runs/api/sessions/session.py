"""The commands of the agent streaming protocol on one thread, independent of the transport."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from django.db.models import Min
from ninja.errors import HttpError
from pydantic import ValidationError

from runs.api.responses.creation import admit
from runs.api.responses.errors import NO_GRAPH, STATUSES, sentence
from runs.api.sessions.state_commands import fork, get_state, list_checkpoints, require_checkpoint
from runs.events.agent_stream import latest_projection
from runs.exceptions import InvalidRequest, LimitReached, RunsError
from runs.graphs import GraphLoadError
from runs.identity.auth_file.permission import permit
from runs.identity.auth_file.rules import COMMANDS
from runs.identity.principals import Principal
from runs.lifecycle.admission import earlier_runs
from runs.lifecycle.interrupts import waiting
from runs.models import MultitaskStrategy, Run, RunEvent
from runs.protocols.agent.commands import Command, ProtocolError, answers_of
from runs.protocols.agent.events import last_of
from runs.requests.bodies import RunCreate, StreamMode
from runs.requests.idempotency import Once
from runs.requests.run import ContradictoryRequest
from threads.db.database import in_database
from threads.db.time_limits import QueryTooSlow, TooManySearches, time_limit
from threads.models import Thread

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Method = Callable[[Mapping[str, Any], Principal], Awaitable[Json]]

#: Stream modes for clients of other protocols that join these runs; the log has all other events too.
MODES: list[StreamMode] = ["values", "updates", "messages-tuple", "custom"]


#: Commands after which a client must distinguish earlier events from new ones.
STARTING = frozenset({"run.start", "input.respond", "state.fork"})


class Session:
    """One client's commands to one thread. Another user's thread is treated as missing.

    Each command is authorised before it is executed (`permitted`).

    Args:
        once: The key of a session of one command, if its client has sent one in the header.
    """

    def __init__(self, thread_id: UUID, principal: Principal, *, once: Once | None = None) -> None:
        self.thread_id = thread_id
        self.principal = principal
        self._of_session = once
        #: An upper bound of the thread's event numbers before the last command that started a run.
        self.before = 0
        self._methods: dict[str, Method] = {
            "run.start": self._start_run,
            "input.respond": self._respond,
            "agent.getTree": self._get_tree,
            "state.get": lambda params, principal: get_state(thread_id, params, principal=principal),
            "state.listCheckpoints": lambda params, principal: list_checkpoints(
                thread_id, params, principal=principal
            ),
            "state.fork": self._fork,
        }
        #: Of the command that is executed now.
        self._once: Once | None = None

    async def execute(self, command: Command) -> Json:
        """Execute a command; return its result. Raises ProtocolError."""
        method = self._methods.get(command.method)
        if method is None:
            raise ProtocolError("unknown_command", f"Unknown protocol command: {command.method[:100]}")
        params, principal = await self.permitted(command)
        if command.method in STARTING:
            self.before = last_of(await in_database(_epoch, self.thread_id, principal=principal))
        try:
            if command.method in STARTING:
                return await self._executed_once(command, method, params, principal)
            limited = COMMANDS[command.method].cost == "limited"
            with time_limit(of=self.principal.user_id) if limited else nullcontext():
                return await method(params, principal)
        except ProtocolError:
            raise
        except HttpError as error:
            raise refused(error) from None
        except (RunsError, QueryTooSlow) as error:
            raise as_protocol_error(error) from error

    async def _executed_once(
        self, command: Command, method: Method, params: Mapping[str, Any], principal: Principal
    ) -> Json:
        self._once = self._of_session or self._key_of(command)
        if earlier := await self._earlier(command, principal):
            return earlier
        try:
            return await method(params, principal)
        except ProtocolError:
            # An equal command may have been executed meanwhile, and answered the question that this one found gone.
            if earlier := await self._earlier(command, principal):
                return earlier
            raise

    def _key_of(self, command: Command) -> Once | None:
        """A command with the key that it contains. Raises InvalidRequest."""
        if command.key is None:
            return None
        if not isinstance(command.key, str):
            raise ProtocolError("invalid_argument", "idempotency_key must be a string.")
        request = (self.thread_id, command.method, command.params)
        return Once.of(self.principal.user_id, command.key, *request)

    async def _earlier(self, command: Command, principal: Principal) -> Json | None:
        """The result of the same command with the same key, if it was executed before."""
        if self._once is None:
            return None
        found = await in_database(self._once.found, earlier_runs(principal))
        if not found:
            return None
        self.before = last_of(await in_database(_epoch_before, found[0].id))
        created = {"run_id": str(found[0].id)}
        return created | ({"thread_id": str(self.thread_id)} if command.method == "state.fork" else {})

    async def permitted(self, command: Command) -> tuple[Json, Principal]:
        """A command's parameters with an Auth file's changes, and the principal with its filters.

        Raises ProtocolError if the parameters are no object, or the principal may not do this.
        """
        if not isinstance(command.params, Mapping):
            raise ProtocolError("invalid_argument", "params must be an object.")
        params = dict(command.params)
        try:
            path = {"thread_id": self.thread_id}
            allowed = await permit(self.principal, COMMANDS[command.method], path, params)
        except HttpError as error:
            raise refused(error) from None
        return allowed.body, allowed.principal

    async def _start_run(self, params: Mapping[str, Any], principal: Principal) -> Json:
        if not isinstance(params.get("assistant_id"), str) or not params["assistant_id"]:
            raise ProtocolError("invalid_argument", "run.start requires an assistant_id.")
        fields: Json = {"input": params.get("input")}
        config = params.get("config")
        configurable = config.get("configurable") if isinstance(config, Mapping) else None
        checkpoint_id = configurable.get("checkpoint_id") if isinstance(configurable, Mapping) else None
        if checkpoint_id is not None:
            await require_checkpoint(self.thread_id, checkpoint_id, principal=principal)
        elif fields["input"] is not None:
            asked = await in_database(questions, self.thread_id, principal=principal)
            if asked:
                fields = {"command": {"resume": fields["input"]}}
        # Clients make a thread by its first run, unless they say that they know it.
        if params.get("if_not_exists") == "reject":
            fields["if_not_exists"] = "reject"
        return await self._create(params, principal, params["assistant_id"], **fields)

    async def _respond(self, params: Mapping[str, Any], principal: Principal) -> Json:
        answers = answers_of(params)
        state = await in_database(waiting, self.thread_id, principal=principal)
        for interrupt_id in answers:
            if state is None or interrupt_id not in state[1]:
                raise ProtocolError(
                    "no_such_interrupt", f"Unknown or already-consumed interrupt: {interrupt_id[:100]}"
                )
        assert state is not None
        command = {"resume": answers, "update": params.get("update"), "goto": params.get("goto")}
        return await self._create(params, principal, state[0], command=command)

    async def _create(
        self, params: Mapping[str, Any], principal: Principal, assistant_id: str, **fields: Any
    ) -> Json:
        strategy = params.get("multitask_strategy") or params.get("multitaskStrategy")
        optional = {name: params[name] for name in ("config", "metadata") if params.get(name) is not None}
        try:
            body = RunCreate(
                assistant_id=assistant_id,
                stream_mode=MODES,
                stream_subgraphs=True,
                stream_resumable=True,
                multitask_strategy=strategy if strategy in MultitaskStrategy.values else "enqueue",
                **{"if_not_exists": "create", **optional, **fields},
            )
            body.request(stateless=False)
        except ValidationError as error:
            found = [{**each, "loc": ("", *each["loc"])} for each in error.errors()]
            raise ProtocolError("invalid_argument", sentence(found)) from None
        except InvalidRequest as error:
            raise ProtocolError("invalid_argument", str(error)) from None
        run = await admit(body, thread_id=self.thread_id, principal=principal, once=self._once)
        return {"run_id": str(run.id)}

    async def _get_tree(self, params: Mapping[str, Any], principal: Principal) -> Json:
        run_id = params.get("run_id")
        try:
            wanted = UUID(run_id) if run_id is not None else None
        except (ValueError, AttributeError, TypeError):
            raise ProtocolError("invalid_argument", "run_id must be a UUID.") from None
        found = await latest_projection(self.thread_id, principal=principal, run_id=wanted)
        if found is None or found.status is None:
            raise ProtocolError("no_such_run", "No active run is bound to this thread.")
        return {"tree": found.tree()}

    async def _fork(self, params: Mapping[str, Any], principal: Principal) -> Json:
        assistant_id, given = await fork(self.thread_id, params, principal=principal)
        created = await self._create(given, principal, assistant_id, input=given.get("input"))
        return {**created, "thread_id": str(self.thread_id)}


def refused(error: HttpError) -> ProtocolError:
    """A refusal of the permission check as a protocol error."""
    code = "permission_denied" if error.status_code in (401, 403) else "unknown_error"
    return ProtocolError(code, f"{error.status_code}: {error}")


def _epoch(thread_id: UUID, *, principal: Principal) -> int:
    epoch = Thread.objects.for_principal(principal).filter(id=thread_id).values_list("epoch", flat=True)
    return epoch.first() or 0


def _epoch_before(run_id: UUID) -> int:
    """The thread's epoch before the first attempt of a run."""
    first = RunEvent.objects.filter(run_id=run_id).aggregate(epoch=Min("epoch"))["epoch"]
    return (first or Run.objects.values_list("epoch", flat=True).get(id=run_id) or 1) - 1


def as_protocol_error(error: Exception) -> ProtocolError:
    """An error that the HTTP API would answer with a status, as a protocol error."""
    if isinstance(error, ContradictoryRequest):
        return ProtocolError("invalid_argument", str(error))
    if isinstance(error, GraphLoadError):
        # A configuration error: the details go to the log, not to the client.
        logger.error("A command failed: %s", error)
        return ProtocolError("unknown_error", f"500: {NO_GRAPH}")
    if isinstance(error, TooManySearches):
        return ProtocolError("unknown_error", f"{429 if error.own else 503}: {error}")
    statuses = {**STATUSES, LimitReached: 429}
    status = next((status for kind, status in statuses.items() if isinstance(error, kind)), 500)
    return ProtocolError("unknown_error", f"{status}: {error}")


def questions(thread_id: UUID, *, principal: Principal) -> dict[str, Any]:
    """The unanswered interrupts of a thread, as its row stores them."""
    state = waiting(thread_id, principal=principal)
    return dict.fromkeys(state[1]) if state is not None else {}
