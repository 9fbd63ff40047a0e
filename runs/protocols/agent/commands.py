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
    params = found.get("params")
    return Command(command_id, method, {} if params is None else params)


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
