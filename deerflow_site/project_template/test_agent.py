"""Run it with `python -m pytest`."""

from agent import graph
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command


def test_it_asks_before_it_mails():
    config = {"configurable": {"thread_id": "test"}}
    graph.checkpointer = InMemorySaver()
    asked = graph.invoke({"messages": [("user", "What is the weather in Oslo?")]}, config)
    [interrupt] = asked["__interrupt__"]
    assert interrupt.value["action_requests"][0]["name"] == "send_mail"

    done = graph.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert "sunny in Oslo" in done["messages"][-1].content
