"""A chat model that follows a script, so that the agent works without a key."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class ScriptedModel(BaseChatModel):
    """Looks the weather up, mails it, and says what happened."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> "ScriptedModel":
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        asked = max(number for number, each in enumerate(messages) if isinstance(each, HumanMessage))
        results = [each for each in messages[asked:] if isinstance(each, ToolMessage)]
        if not results:
            city = str(messages[asked].content).rstrip("?!. ").rpartition(" ")[2] or "Oslo"
            message = call("weather", asked, city=city)
        elif len(results) == 1:
            message = call("send_mail", asked, to="ada@example.com", text=str(results[0].content))
        else:
            message = AIMessage(f"{results[0].content} The mail: {results[1].content}")
        return ChatResult(generations=[ChatGeneration(message=message)])


def call(tool: str, turn: int, **arguments: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": f"{tool}-{turn}"}])
