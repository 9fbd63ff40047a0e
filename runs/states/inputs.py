"""What a step reads, edited as JSON: which channels differ, and their values in the state's own types. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_messages
from langgraph.channels import BinaryOperatorAggregate, LastValue
from pydantic import BaseModel

from runs.encoding import decode, encode
from runs.exceptions import InvalidRequest
from threads.redaction import restored

PLAIN = (str, int, float, bool, type(None))


def changes(
    given: Mapping[str, Any], values: Mapping[str, Any], channels: Mapping[str, Any]
) -> dict[str, Any]:
    """The channels whose values differ from the given JSON, with their new values.

    Args:
        given: Values by the names of channels. What is hidden in them as a secret is kept.
        values: The channels' present values; channels without one are not in it.
        channels: The graph's channels.

    Raises InvalidRequest if the state has no such channel, or its value cannot be edited as JSON.
    """
    found = {}
    for name, each in given.items():
        before = values.get(name)
        plain = decode(encode(before))
        wanted = restored(each, plain)
        if wanted == plain:
            continue
        if not isinstance(channels.get(name), LastValue | BinaryOperatorAggregate):
            raise InvalidRequest(f"The state has no value {name!r} that can be edited.")
        try:
            found[name] = _typed(wanted, before, channels[name])
        except InvalidRequest as error:
            raise InvalidRequest(f"{name!r} {error}") from error
        except Exception as error:
            # Reducers and models are the graph's own code, and see a client's values here.
            what = str(error).partition("\n")[0][:200]
            raise InvalidRequest(
                f"{name!r} cannot have this value: {type(error).__name__}: {what}"
            ) from error
    return found


def _typed(wanted: Any, before: Any, channel: Any) -> Any:
    """JSON in the type of the value that it replaces."""
    if isinstance(before, BaseMessage):
        return convert_to_messages([wanted])[0]
    if isinstance(before, BaseModel):
        return type(before).model_validate(wanted)
    if before in ([], ()) and isinstance(channel, BinaryOperatorAggregate):
        # Nothing says what belongs there, except the reducer.
        return channel.operator(before, wanted)
    if isinstance(before, Sequence) and not isinstance(before, str) and isinstance(wanted, list):
        return _items(wanted, before)
    if _plain(before):
        return wanted
    raise InvalidRequest(f"is of the class {type(before).__name__}, which cannot be edited as JSON.")


def _items(wanted: list[Any], before: Sequence[Any]) -> list[Any]:
    if all(isinstance(each, BaseMessage) for each in before):
        return list(convert_to_messages(wanted))
    kinds = {type(each) for each in before}
    if len(kinds) == 1 and issubclass(kind := kinds.pop(), BaseModel):
        return [kind.model_validate(each) for each in wanted]
    if all(_plain(each) for each in before):
        return wanted
    raise InvalidRequest("has items of other classes, which cannot be edited as JSON.")


def _plain(value: Any) -> bool:
    """Whether a value is the same after a passage through JSON."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and _plain(each) for name, each in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return type(value) in PLAIN
