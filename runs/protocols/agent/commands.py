"""Commands of the agent streaming protocol and their answers, as JSON objects. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runs.exceptions import RunsError
from runs.protocols.agent.filters import MAX_NUMBER

Json = dict[str, Any]

NOT_A_COMMAND = "Protocol commands must include an integer id and string method."
NOT_JSON = "Protocol commands must be valid JSON."


class ProtocolError(RunsError):
    """A command that cannot be executed.

    Args:
        code: One of the protocol's error codes, such as `invalid_argument`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    """A client's command."""

    id: int
    method: str
    params: Mapping[str, Any]
    #: The client's own name for a command that starts a run. Of this server; stock clients send none.
    key: Any = None


def parse_command(payload: Any) -> Command:
    """The command in a client's JSON.

    Raises ProtocolError if it is not a command; the answer then has no id.
    """
    found = payload if isinstance(payload, dict) else {}
    command_id, method = found.get("id"), found.get("method")
    if not isinstance(command_id, int) or isinstance(command_id, bool) or not isinstance(method, str):
        raise ProtocolError("invalid_argument", NOT_A_COMMAND)
    if not 0 <= command_id <= MAX_NUMBER:
        raise ProtocolError("invalid_argument", NOT_A_COMMAND)
    params, key = found.get("params"), found.get("idempotency_key")
    return Command(command_id, method, {} if params is None else params, key)


def success(command: Command, result: Mapping[str, Any], *, seq: int) -> Json:
    """The answer to a successful command.

    Args:
        seq: An upper bound of the numbers of events before the command: the last event sent on this
            connection, or the last one that the thread can have had. A client that reads the thread
            from its start treats events after it as new, and interrupts before it as answered.
    """
    meta = {"applied_through_seq": seq}
    return {"type": "success", "id": command.id, "result": dict(result), "meta": meta}


def failure(error: ProtocolError, command: Command | None = None, *, seq: int | None = None) -> Json:
    """The answer to a failed command, or to a message that is no command."""
    answer: Json = {
        "type": "error",
        "id": command.id if command is not None else None,
        "error": error.code,
        "message": str(error),
    }
    return answer if seq is None else {**answer, "meta": {"applied_through_seq": seq}}


def answers_of(params: Mapping[str, Any]) -> Json:
    """The answers of `input.respond` by interrupt id. Raises ProtocolError."""
    many = params.get("responses")
    if many is not None and (not isinstance(many, list) or not many):
        raise ProtocolError("invalid_argument", "input.respond requires a non-empty array of responses.")
    found: Json = {}
    for each in many if many is not None else [params]:
        key = each.get("interrupt_id") if isinstance(each, Mapping) else None
        if not isinstance(key, str) or not key:
            raise ProtocolError("invalid_argument", "input.respond requires an interrupt_id.")
        found[key] = each.get("response")
    return found
