"""Which chat model answers: the scripted one, or the one that `AGENT_MODEL` names."""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import cast

from langchain_core.language_models import BaseChatModel

from deerflow_site.graphs.scripted import ScriptedChatModel


class ModelUnavailable(RuntimeError):
    """The model that `AGENT_MODEL` names cannot be used; the message says what to do."""


def chat_model() -> BaseChatModel:
    """The model that `AGENT_MODEL` names (`provider:model`); if it is not set, the scripted one."""
    name = os.environ.get("AGENT_MODEL", "").strip()
    return real_model(name) if name else ScriptedChatModel()


@cache
def real_model(name: str) -> BaseChatModel:
    """The chat model called `name`, made by LangChain, which is not a dependency of this project."""
    provider, colon, model = name.partition(":")
    if not (provider and colon and model):
        raise ModelUnavailable(f"AGENT_MODEL must be provider:model, such as openai:gpt-5, not {name!r}.")
    try:
        factory = importlib.import_module("langchain.chat_models").init_chat_model
        return cast(BaseChatModel, factory(name))
    except ImportError as error:
        package = f"langchain-{provider.replace('_', '-')}"
        raise ModelUnavailable(
            f"AGENT_MODEL is {name}, but a package that it needs is missing ({error}). "
            f"Run `pip install langchain {package}`, or unset AGENT_MODEL to use the scripted model."
        ) from error
