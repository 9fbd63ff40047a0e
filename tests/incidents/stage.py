"""A real site on which an incident happens: a process that serves, and others that execute runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langgraph_sdk import get_sync_client

from tests.browser.serving import command
from tests.incidents import full_disk
from tests.processes.databases import Postgres, Row, Template
from tests.processes.harness import Process, Site, eventually
from tests.support.receiver import Receiver, receiving

HERE = "tests.incidents.graphs"
GRAPHS: dict[str, Any] = {
    **{name: f"{HERE}:{name}" for name in ("orders", "lookups", "quotes", "answers", "refunds")},
    "steps": "tests.support.graphs:steps",
    "render": {"path": "tests.support.graphs:parallel", "queue": "gpu"},
}


class Stage:
    """One process serves and executes nothing, so that the admin stays when a worker dies."""

    def __init__(self, site: Site, receiver: Receiver) -> None:
        self.site, self.receiver = site, receiver
        self.worker: Process | None = None
        self.add_user("ops")
        self.web = site.start("manage.py", "serve", "--port", "{port}", "--no-execute")
        self.client = site.client(self.web)

    def add_user(self, name: str) -> None:
        command(
            self.site, "createsuperuser", "--noinput", f"--username={name}", f"--email={name}@example.com"
        )

    def work(self, *arguments: str, **settings: Any) -> Process:
        """Start a worker in place of the one before: on SQLite one process at a time executes runs."""
        if self.worker is not None and self.worker.alive:
            self.worker.stop()
        self.worker = self.site.worker(*(arguments or ("--queues", "default")), run_settings=settings)
        return self.worker

    def deploy(self, **graphs: str) -> None:
        """Change the graphs of the workers that start from now on."""
        (self.site.folder / "langgraph.json").write_text(json.dumps({"graphs": {**GRAPHS, **graphs}}))

    def create(self, graph: str, order: str = "A-17", *, thread: str | None = None, **fields: Any) -> Row:
        """Create a run, on a new thread by default."""
        thread_id = thread or self.client.threads.create()["thread_id"]
        if "command" not in fields:
            fields.setdefault("input", {"order": order})
        return dict(self.client.runs.create(thread_id, graph, **fields))

    def as_user(self, name: str) -> Any:
        """A client with an API key of a new user."""
        self.add_user(name)
        made = command(self.site, "create_api_key", name, "--name=script")
        key = max((word for word in made.split() if word.startswith("dfk_")), key=len)
        return get_sync_client(url=self.web.url, api_key=key)

    def disk(self, *, full: bool) -> None:
        if isinstance(self.site.database, Postgres):
            self.site.database.execute(full_disk.FULL if full else full_disk.ROOM)
        elif full:
            (self.site.folder / full_disk.FILE).touch()
        else:
            (self.site.folder / full_disk.FILE).unlink()

    def reaches(self, run: Row, *statuses: str, timeout: float = 40) -> None:
        """Wait until the API says that a run has one of the statuses."""
        eventually(lambda: self.status(run) in statuses, timeout=timeout, what=f"a run is {statuses}")

    def status(self, run: Row) -> str:
        return str(self.client.runs.get(run["thread_id"], run["run_id"])["status"])

    def ends_well(self, run: Row, *done: str, timeout: float = 40) -> None:
        """Wait until the thread is idle and its newest run a success, which has done these steps last."""

        def ended() -> bool:
            newest, *_ = self.client.runs.list(run["thread_id"], limit=1)
            thread = self.client.threads.get(run["thread_id"])
            return newest["status"] == "success" and thread["status"] == "idle"

        eventually(ended, timeout=timeout, what="the thread's newest run succeeds")
        values: Any = self.client.threads.get_state(run["thread_id"])["values"]
        assert not done or tuple(values["done"][-len(done) :]) == done, values


@contextmanager
def staged(folder: Path, template: Template, cache: Path) -> Iterator[Stage]:
    environment = {"DJANGO_SETTINGS_MODULE": "tests.incidents.settings"}
    with template.copy(folder) as database, receiving() as receiver:
        site = Site(folder, database, cache=cache, graphs=GRAPHS, env=environment)
        try:
            yield Stage(site, receiver)
        finally:
            site.close()
