"""Where the outputs of two runs' steps differ."""

from __future__ import annotations

from typing import Any

from runs.encoding import encode
from runs.protocols.agent.items import PACK
from runs.protocols.outputs import differing, outputs
from runs.protocols.spans import Entry


def log(*items: tuple[str, dict[str, Any]]) -> list[Entry]:
    """A log whose last item is a row of its own, of a subgraph."""
    rows = [[mode, [], 1, data] for mode, data in items[:-1]]
    mode, data = items[-1]
    return [Entry(1, 1, PACK, encode(rows), 1), Entry(1, 2, f"{mode}|team:1", encode(data), 1)]


def done(name: str, result: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "tasks", {"id": "t", "name": name, "result": result, **fields}


def says(text: str, number: int) -> dict[str, Any]:
    return {"messages": [{"id": f"run-{number}", "type": "ai", "content": text, "tool_calls": []}]}


def test_the_last_output_of_each_step_is_compared_by_what_it_says() -> None:
    def run(number: int, price: int, text: str) -> list[Entry]:
        return log(
            ("tasks", {"id": "t", "name": "plan", "input": {"n": number}}),
            done("plan", {"plan": [number]}),
            done("plan", {"plan": ["same"], "api_key": f"canary-{number}"}),
            done("talk", says("Hello.", number)),
            done("answer", says(text, number)),
            done("failed", {"n": number}, error={"error": "E", "message": "m"}),
            done(f"only_{number}", {"n": number}),
            ("tools", {"event": "tool-started", "tool_call_id": f"c{number}", "tool_name": "price"}),
            ("tools", {"event": "tool-finished", "tool_call_id": f"c{number}", "output": price}),
            done("nested", number),
        )

    found = differing(outputs(run(1, 10, "Ten.")), outputs(run(2, 12, "Twelve.")))
    assert [each["step"] for each in found] == ["answer", "price", "nested"]
    assert found[0]["difference"][0]["items"] == [
        {"id": "0", "op": "change", "type": "ai", "before": "Ten.", "after": "Twelve."}
    ]
    (price,) = found[1]["difference"]
    assert (price["key"], price["before"], price["after"]) == ("output", "10", "12")
    assert "canary" not in str(found)
    assert differing(outputs(run(1, 10, "Ten.")), outputs(run(1, 10, "Ten."))) == []
