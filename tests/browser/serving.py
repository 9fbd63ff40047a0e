"""A server with the graphs of all browser tests, for the tests and for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.conftest import OBEYING
from tests.processes.databases import Template
from tests.processes.harness import STARTED_WITHIN, Site

GRAPHS = {
    **OBEYING,
    "agent": "deerflow_site.graphs.agent:graph",
    # Its name is one of the processes' graphs, which no browser uses.
    "asking": "tests.browser.graphs:asking",
    **{
        name: f"tests.browser.graphs:{name}"
        for name in ("echo", "telling", "configured", "titled", "hostile")
    },
    **{name: f"tests.browser.agents:{name}" for name in ("deep", "supervised", "swarm")},
}
#: A user who may look into runs.
ADA = {"username": "ada", "password": "a good password"}


@contextmanager
def serving(folder: Path, template: Template, cache: Path, **environment: str) -> Iterator[Site]:
    """A site with a running server; a script that kills it must start another one."""
    with template.copy(folder) as database:
        site = Site(folder, database, cache=cache, graphs=GRAPHS, env=environment)
        try:
            command(
                site,
                "createsuperuser",
                "--noinput",
                f"--username={ADA['username']}",
                "--email=ada@example.com",
            )
            site.start()
            yield site
        finally:
            site.close()


def command(site: Site, *arguments: str) -> str:
    """The output of a management command of the site."""
    process = site.spawn("manage.py", *arguments, DJANGO_SUPERUSER_PASSWORD=ADA["password"])
    assert process.wait(STARTED_WITHIN) == 0, process.tail
    # The newest process is the one that scripts kill: it must be a server.
    site.processes.remove(process)
    return process.output
