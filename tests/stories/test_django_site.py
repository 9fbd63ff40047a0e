"""Story 2: a new Django site, and the snippets of the documentation, from the wheel."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from tests.processes.harness import eventually, free_port
from tests.stories.environment import ROOT, Environment

pytestmark = [pytest.mark.server, pytest.mark.sqlite, pytest.mark.timeout(300)]

PASSWORD = "a good password"
USER = f"""
from django.contrib.auth.models import User
User.objects.create_superuser("ada", password={PASSWORD!r})
"""
#: What the pages leave to the site.
OWN_SETTINGS = """
LOGIN_URL = "admin:login"
STATIC_ROOT = BASE_DIR / "collected"
if "TEAMS" in __import__("os").environ:
    RUNS |= {"OWNERSHIP": "auth", "LANGGRAPH_JSON": str(BASE_DIR / "langgraph.json")}
"""
APP = """
from django.apps import AppConfig

class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from shop import receivers
"""
MODELS = """
from django.conf import settings
from django.db import models

class Order(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)

class Shipment(models.Model):
    notice = models.UUIDField(unique=True)
    order = models.ForeignKey(Order, models.CASCADE)
"""
#: Tokens as "ada@one": a user of a team.
TOKENS = """
from types import SimpleNamespace

async def user_of_token(token):
    name, _, team = token.removeprefix("Bearer ").partition("@")
    return SimpleNamespace(email=name, org_id=team)

"""


def snippets(page: str) -> list[str]:
    """The Python code of a page."""
    found = re.findall(r"^( *)```python\n(.*?)^\1```", (ROOT / "docs" / page).read_text(), re.M | re.S)
    return [dedent(code) for _, code in found]


def add(file: Path, *code: str) -> None:
    file.write_text("\n".join([file.read_text() if file.exists() else "", *code]))


class Made:
    """A site that `django-admin` has made, with what the pages say."""

    def __init__(self, installed: Environment, folder: Path) -> None:
        self.installed, self.folder = installed, folder
        self.port = free_port()

    def write(self) -> None:
        self._run("django-admin", "startproject", "mysite", ".")
        settings, graph, urls, asgi, storages, _ = snippets("topics/django_site.md")
        view, receiver = snippets("reference/python_api.md")
        site, shop = self.folder / "mysite", self.folder / "shop"
        own = '*INSTALLED_APPS, "ninja", "shop.apps.ShopConfig",'
        settings = self._filled(settings, own)
        options = re.search(r'`("OPTIONS": .*?})`', (ROOT / "docs/topics/django_site.md").read_text())
        assert options is not None
        add(
            site / "settings.py",
            settings,
            storages,
            f'DATABASES["default"] |= {{{options[1]}}}',
            OWN_SETTINGS,
        )
        add(site / "agents.py", graph)
        add(
            site / "urls.py",
            "from shop.views import order",
            self._filled(urls, '*urlpatterns, path("order/", order),'),
        )
        text = (site / "asgi.py").read_text()
        (site / "asgi.py").write_text(text.replace("from django.core.asgi import get_asgi_application", asgi))
        shop.mkdir()
        add(shop / "__init__.py")
        add(shop / "models.py", MODELS)
        add(shop / "views.py", "from django.http import JsonResponse", "from shop.models import Order", view)
        add(shop / "receivers.py", "from shop.models import Shipment", receiver)
        add(shop / "apps.py", APP)
        [auth] = snippets("topics/sharing.md")
        add(self.folder / "auth.py", TOKENS, auth)
        add(self.folder / "langgraph.json", '{"graphs": {}, "auth": {"path": "./auth.py:auth"}}')

    @staticmethod
    def _filled(snippet: str, own: str) -> str:
        """A snippet with the site's own where it leaves them out."""
        filled, count = re.subn(r"# \.\.\..*", own, snippet)
        assert count == 1, snippet
        return filled

    def _run(self, *command: str) -> str:
        done = self.installed.run(self.folder, *command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def manage(self, *arguments: str) -> str:
        return self._run("python", "manage.py", *arguments)

    @contextmanager
    def serving(self, *command: str, **env: str) -> Iterator[httpx.Client]:
        log = self.folder / "server.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(self.installed.bin / "python"), "manage.py", *command],
                cwd=self.folder, env={**self.installed.env, **env}, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=60) as http:
            try:
                eventually(lambda: process.poll() is not None or answers(http), timeout=100, what="it serves")
                assert process.poll() is None, log.read_text()
                yield http
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0, log.read_text()
            finally:
                process.kill()
                process.wait()

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as db:
            return db.execute(query).fetchall()


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/agents/ok").is_success
    except httpx.TransportError:
        return False


def log_in(http: httpx.Client) -> httpx.Response:
    """Log in where the chat sends its visitors, and return the chat."""
    page = http.get("/agents/chat/", follow_redirects=True)
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token is not None, page.text
    form = {"username": "ada", "password": PASSWORD, "csrfmiddlewaretoken": token[1], "next": "/agents/chat/"}
    return http.post(page.url, data=form, follow_redirects=True)


def test_a_new_site_gets_agents(installed: Environment, tmp_path: Path) -> None:
    made = Made(installed, tmp_path)
    made.write()
    made.manage("makemigrations", "shop")
    made.manage("migrate", "-v", "0")
    made.manage("shell", "-v", "0", "-c", USER)
    made.manage("collectstatic", "--noinput", "-v", "0")
    for file in ("runs/css/base.css", "admin/css/base.css"):
        assert (tmp_path / "collected" / file).is_file()
    key = made.manage("create_api_key", "ada").strip()
    said = {"input": {"messages": [{"role": "user", "content": "Hello"}]}}

    with made.serving("serve", "--port", str(made.port)) as http:
        run = {"assistant_id": "agent", **said}
        state = http.post("/agents/runs/wait", json=run, headers={"X-Api-Key": key}).json()
        assert state["messages"][-1]["content"] == "You said: Hello"
        assert http.post("/agents/runs/wait", json=run).status_code in (401, 403)
        chat = log_in(http)
        assert (chat.status_code, chat.url.path) == (200, "/agents/chat/")
        assert "Content-Security-Policy" in chat.headers
        ordered = http.get("/order/").json()
        eventually(lambda: made.rows("SELECT order_id FROM shop_shipment") == [(1,)], what="the shipment")
        values = http.get(f"/agents/threads/{ordered['thread']}/state").json()["values"]
        assert values["messages"][-1]["content"] == "You said: Prepare order 1 for shipment."
    assert (tmp_path / "checkpoints.sqlite3").is_file()

    with made.serving("runserver", str(made.port), "--noreload", TEAMS="1") as http:
        assert http.get("/static/runs/css/base.css").status_code == 200
        ada, eve, bob = ({"Authorization": f"Bearer {name}"} for name in ("ada@one", "eve@one", "bob@two"))
        thread = http.post("/agents/threads", json={}, headers=ada).json()
        assert thread["metadata"]["org_id"] == "one"
        path = f"/agents/threads/{thread['thread_id']}"
        assert [http.get(path, headers=who).status_code for who in (ada, eve, bob)] == [200, 200, 404]
