"""An agent with two tools. It asks a person before it sends a mail."""

import os

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.chat_models import init_chat_model
from langchain_core.tools import tool
from scripted import ScriptedModel


@tool
def weather(city: str) -> str:
    """Get the weather in a city."""
    return f"It is 18 °C and sunny in {city}."


@tool
def send_mail(to: str, text: str) -> str:
    """Send a mail."""
    return f"Sent to {to}: {text}"


model = init_chat_model(os.environ["MODEL"]) if os.environ.get("MODEL") else ScriptedModel()
graph = create_agent(
    model,
    [weather, send_mail],
    system_prompt="You look the weather up and mail it to the person who asks.",
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"send_mail": True})],
)
