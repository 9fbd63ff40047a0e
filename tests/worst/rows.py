"""What is there before the worst is asked for: rows as large as they may be, and those that paths name."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.worst.watching import Connection

#: Rows of each kind, each a little below the limit of its kind: together more than a page may have.
ROWS, SIZE = 12, 900_000
#: Items of the store, which together are several pages.
ITEMS = 30
PARAMETER = re.compile(r"{(\w+)}")
CRON = {"assistant_id": "talking", "input": {"messages": []}, "schedule": "0 0 1 1 *"}


class Rows:
    """Rows of a site; made by its clients' own requests."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._large: dict[str, str] = {}

    def send(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self._connection.ask(method, path, json.dumps(body or {}).encode())
        assert status < 400, (method, path, status, answer[:500])
        return json.loads(answer) if answer else None

    def make_large(self) -> None:
        text = "x" * SIZE
        message = {"messages": [{"type": "human", "content": text, "id": "1"}]}
        thread: dict[str, Any] = {}
        for number in range(ROWS):
            thread = self.send("POST", "/threads", {"metadata": {"graph_id": "talking", "number": number}})
            self.send("POST", f"/threads/{thread['thread_id']}/state", {"values": message, "as_node": "talk"})
            self.send("POST", "/assistants", {"graph_id": "talking", "context": {"text": text[: SIZE // 2]}})
            self.send("POST", "/runs/crons", {**CRON, "input": {"text": text}})
        for number in range(ITEMS):
            # Texts that comparisons read as a number, and in which a search finds beginnings everywhere.
            value = {"n": "9" * (SIZE // 2), "text": '"' * (SIZE // 4)}
            item = {"namespace": ["large", str(number)], "key": "k", "value": value, "index": False}
            self.send("PUT", "/store/items", item)
        path = f"/threads/{thread['thread_id']}"
        for _ in range(ROWS):
            self.send("POST", f"{path}/state", {"values": message, "as_node": "talk"})
        run = {"assistant_id": "talking", "input": {"messages": [], "text": text}, "after_seconds": 86_400}
        for _ in range(ROWS):
            self.send("POST", f"{path}/runs", run)
        self._large = self._named(path)

    def named(self, path: str, method: str) -> str:
        """A path whose parameters are ids of rows: of large ones for who reads, copies or deletes, of new ones for who
        writes.
        """
        wanted = set(PARAMETER.findall(path))
        if not wanted:
            return path
        if self._large and (method == "GET" or path.endswith("/copy")):
            names = self._large
        else:
            names = self._new(wanted, large=method == "DELETE")
        return PARAMETER.sub(lambda match: names[match[1]], path)

    def _new(self, wanted: set[str], *, large: bool = False) -> dict[str, str]:
        names = {"namespace": "child"}
        if "assistant_id" in wanted:
            names["assistant_id"] = self.send("POST", "/assistants", {"graph_id": "talking"})["assistant_id"]
        if "cron_id" in wanted:
            names["cron_id"] = self.send("POST", "/runs/crons", CRON)["cron_id"]
        if wanted & {"thread_id", "run_id", "checkpoint_id"}:
            if large and self._large:
                thread = self.send("POST", f"/threads/{self._large['thread_id']}/copy")["thread_id"]
            else:
                thread = self.send("POST", "/threads", {"metadata": {"graph_id": "talking"}})["thread_id"]
            edit = {"values": {"messages": []}, "as_node": "talk"}
            checkpoint = self.send("POST", f"/threads/{thread}/state", edit)
            names |= {"thread_id": thread, "checkpoint_id": checkpoint["checkpoint_id"]}
        if "run_id" in wanted:
            run = {"assistant_id": "talking", "input": {"messages": []}, "after_seconds": 86_400}
            names["run_id"] = self.send("POST", f"/threads/{names['thread_id']}/runs", run)["run_id"]
        return names

    def _named(self, thread_path: str) -> dict[str, str]:
        names = self._new({"assistant_id", "cron_id"})
        [state] = self.send("GET", f"{thread_path}/history?limit=1")
        [run] = self.send("GET", f"{thread_path}/runs?limit=1")
        return {
            **names,
            "thread_id": thread_path.rpartition("/")[2],
            "run_id": run["run_id"],
            "checkpoint_id": state["checkpoint_id"],
        }
