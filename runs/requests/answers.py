"""The forms of a client's answer to interrupts. Pure: no Django, no database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def is_answer_map(answer: object) -> bool:
    """Whether an answer is {interrupt id: answer}; the empty map answers nothing. LangGraph draws the same line."""
    return isinstance(answer, Mapping) and all(is_interrupt_id(key) for key in answer)


def is_plain_answer(command: Mapping[str, Any] | None) -> bool:
    """Whether a command answers an interrupt without naming it."""
    answer = (command or {}).get("resume")
    return answer is not None and not is_answer_map(answer)


def is_interrupt_id(key: object) -> bool:
    """Whether a key has the form of LangGraph's interrupt ids, 32 hexadecimal digits."""
    return isinstance(key, str) and len(key) == 32 and all(digit in "0123456789abcdef" for digit in key)


def answered(asked: Collection[str], command: Mapping[str, Any] | None) -> set[str]:
    """The ids in `asked` that a command answers.

    A plain answer applies only to a single interrupt.
    """
    if is_plain_answer(command):
        return set(asked) if len(asked) == 1 else set()
    answer = (command or {}).get("resume")
    return set(asked) & set(answer) if isinstance(answer, Mapping) else set()
