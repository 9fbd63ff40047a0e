"""A Django site that includes the API and the chat below /agents/: both work, and so do its own pages."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_sync_client
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.host.conftest import HOST, SETTINGS
from tests.processes.databases import ROOT, Template, environment
from tests.processes.harness import STEPS, Site, eventually, free_port
from tests.processes.protocol import Socket

EMAIL = "grace@example.com"
BODY = {"assistant_id": "steps", "input": {"log": []}, "if_not_exists": "create"}
UVICORN = ("-m", "uvicorn", "tests.host.asgi:application", "--port", "{port}", "--lifespan", "on")
DAPHNE = ("-m", "daphne", "-p", "{port}", "tests.host.asgi:application")


def manage(site: Site, *arguments: str, check: bool = True, **env: str) -> str:
    """The output of a command of the host."""
    settings = environment(
        site._cache,
        DATA_DIR=str(site.folder),
        LANGGRAPH_JSON=str(site.folder / "langgraph.json"),
        **{**site.database.settings, **SETTINGS, **env},
    )
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=settings, capture_output=True, text=True
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout if check else done.stdout + done.stderr


@pytest.fixture(scope="session")
def keys(host: Site) -> dict[str, str]:
    """API keys of a user by their scopes, and a password."""
    manage(
        host, "createsuperuser", "--noinput", "--email", EMAIL, DJANGO_SUPERUSER_PASSWORD="a good password"
    )
    manage(host, "migrate", "--database", "shop", "-v", "0")
    return {
        scope: manage(host, "create_api_key", EMAIL, "--scopes", scope).strip()
        for scope in ("read", "read,write")
    }


@pytest.fixture
def root(host: Site) -> Iterator[httpx.Client]:
    """A browser on the host's own pages."""
    url = host.process.url.removesuffix("/agents")
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def api(host: Site, keys: dict[str, str]) -> Iterator[httpx.Client]:
    headers = {"X-Api-Key": keys["read,write"]}
    with httpx.Client(base_url=host.process.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def test_the_hosts_pages_have_their_session_and_their_csrf_check(
    root: httpx.Client, keys: dict[str, str]
) -> None:
    first = root.get("/store/").json()
    assert root.get("/store/").json()["visits"] == first["visits"] + 1
    assert root.post("/store/", data={"name": "wool"}).status_code == 403
    added = root.post("/store/", data={"name": "wool"}, headers={"X-CSRFToken": first["token"]})
    assert added.json()["items"] == first["items"] + 1
    assert root.get("/threads/").text == "Threads of wool"
    assert root.get("/threads/").headers["x-frame-options"] == "DENY"


def test_the_hosts_requests_are_transactions(root: httpx.Client, keys: dict[str, str]) -> None:
    """With `ATOMIC_REQUESTS`, which the API's asynchronous views are exempt from."""
    before = root.get("/store/").json()["items"]
    assert root.get("/store/sold-out/").status_code == 404
    assert root.get("/store/").json()["items"] == before


def login(browser: httpx.Client) -> dict[str, str]:
    """The form of a page to log in, which was read before."""
    token = browser.cookies["csrftoken"]
    return {"username": EMAIL, "password": "a good password", "csrfmiddlewaretoken": token}


def test_the_hosts_own_api_starts_runs_in_its_transactions(
    root: httpx.Client, keys: dict[str, str], host: Site
) -> None:
    assert root.post("/assistants/", json={"name": "wool"}).status_code == 403
    root.get("/sign-in/")
    assert root.post("/sign-in/?next=/store/", data=login(root)).status_code == 302
    assert root.post("/assistants/", json={"name": "wool"}).status_code == 403, "without the CSRF token"
    headers = {"X-CSRFToken": root.cookies["csrftoken"]}
    before = len(host.database.rows("SELECT id FROM runs_run"))
    refused = root.post("/assistants/", json={"name": "wool" * 20}, headers=headers)
    assert (refused.status_code, list(refused.json())) == (400, ["name"])
    assert len(host.database.rows("SELECT id FROM runs_run")) == before
    made = root.post("/assistants/", json={"name": "wool"}, headers=headers)
    assert (made.status_code, made.json()["name"]) == (201, "wool")
    result = root.get("/assistants/", params={"run_id": made.json()["run_id"]})
    assert result.json() == {"status": "success", "log": STEPS}


def test_the_hosts_admin_rolls_runs_back(root: httpx.Client, api: httpx.Client) -> None:
    root.get("/backoffice/login/")
    root.post("/backoffice/login/?next=/backoffice/", data=login(root))
    run = api.post("/runs", json=BODY | {"after_seconds": 600}).json()["run_id"]
    form = {"action": "roll_back_runs", "_selected_action": run}
    form["csrfmiddlewaretoken"] = root.cookies["csrftoken"]
    asked = root.post("/backoffice/runs/run/", data=form)
    assert (asked.status_code, "cannot be undone" in asked.text) == (200, True)
    assert "The shop&#x27;s back office" in asked.text
    until = re.search(r'name="until" value="([^"]+)"', asked.text)
    assert until is not None
    form |= {"confirmed": "yes", "until": until[1], "reason": "a test"}
    assert root.post("/backoffice/runs/run/", data=form).status_code == 302
    # By this request, or by the worker.
    eventually(lambda: "Run not found" in api.get(f"/runs/{run}/stream").text)


def test_the_hosts_pages_take_more_than_the_api(root: httpx.Client, api: httpx.Client) -> None:
    content = b"x" * (9 * 1024 * 1024)
    assert root.post("/runs/wait", files={"file": content}).json() == {"bytes": len(content)}
    assert api.post("/runs/wait", content=content).status_code == 413


def test_the_host_keeps_its_admin(root: httpx.Client, keys: dict[str, str]) -> None:
    page = root.get("/backoffice/login/")
    assert "The shop&#x27;s back office" in page.text
    assert root.post("/backoffice/login/?next=/backoffice/", data=login(root)).status_code == 302
    for page_of in ("runs/run", "threads/thread", "runs/apikey", "runs/cron", "threads/storeitem"):
        answer = root.get(f"/backoffice/{page_of}/", params={"q": EMAIL})
        assert answer.status_code == 200, page_of
        assert "The shop&#x27;s back office" in answer.text


def test_the_chat_asks_the_hosts_login(root: httpx.Client, keys: dict[str, str]) -> None:
    asked = root.get("/agents/chat/")
    assert (asked.status_code, asked.headers["location"]) == (302, "/sign-in/?next=%2Fagents%2Fchat%2F")
    page = root.get("/sign-in/")
    assert page.status_code == 200
    assert root.post(asked.headers["location"], data=login(root)).headers["location"] == "/agents/chat/"
    chat = root.get("/agents/chat/")
    assert chat.status_code == 200
    assert "default-src 'self'" in chat.headers["Content-Security-Policy"]
    assert "Content-Security-Policy" not in root.get("/store/").headers, "the host's own page"
    assert '"api": "/agents/"' in chat.text
    assert "csrfmiddlewaretoken" in chat.text
    # The page's own requests: by the session, with the token.
    assert root.post("/agents/threads", json={}).status_code == 403
    made = root.post("/agents/threads", json={}, headers={"X-CSRFToken": root.cookies["csrftoken"]})
    assert made.status_code == 200
    assert root.get(f"/agents/chat/{made.json()['thread_id']}/").status_code == 200


def test_paths_below_the_prefix_are_the_apis_and_all_others_the_hosts(
    root: httpx.Client, api: httpx.Client
) -> None:
    for path in ("/info", "/ok", "/docs", "/openapi.json", "/metrics", "/"):
        assert api.get(path).status_code == 200, path
    assert api.get("/openapi.json").json()["servers"] == [{"url": "/agents"}]
    assert (unknown := api.get("/nothing/here")).json() == {"detail": "Not Found"}
    assert unknown.status_code == 404
    assert api.get("/chat").headers["location"] == "/agents/chat/"
    elsewhere = root.get("/info")
    assert (elsewhere.status_code, elsewhere.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert api.get("/threads/search").status_code == 405
    assert '"path": "/threads/search"' in api.get("/metrics?format=json").text.replace('":"', '": "')


def test_headers_locate_a_run_below_the_prefix(api: httpx.Client, root: httpx.Client) -> None:
    with api.stream("POST", f"/threads/{uuid.uuid4()}/runs/stream", json=BODY) as stream:
        location = stream.headers["location"]
        assert location.startswith("/agents/threads/")
        assert stream.headers["content-location"] == location.removesuffix("/stream")
        assert "event: metadata" in stream.read().decode()
    headers = {"X-Api-Key": api.headers["x-api-key"], "Last-Event-ID": "-1"}
    assert "event: metadata" in root.get(location, headers=headers).text
    waited = api.post("/runs/wait", json={"assistant_id": "steps", "input": {"log": []}})
    assert waited.headers["location"].startswith("/agents/threads/")
    assert waited.json()["log"] == STEPS


def test_the_websocket_is_below_the_prefix(host: Site, keys: dict[str, str]) -> None:
    thread = uuid.uuid4()
    headers = {"X-Api-Key": keys["read,write"]}
    address = host.process.url.replace("http:", "ws:")
    with connect(f"{address}/threads/{thread}/stream/events", additional_headers=headers) as connection:
        socket = Socket(connection)
        socket.command("subscription.subscribe", channels=["lifecycle"])
        started = socket.command("run.start", assistant_id="steps", input={"log": []})
        assert started["type"] == "success"
        assert socket.until_end()
    elsewhere = address.removesuffix("/agents")
    with pytest.raises(InvalidStatus):
        connect(f"{elsewhere}/threads/{thread}/stream/events", additional_headers=headers)


def test_keys_and_users_have_any_id(api: httpx.Client, host: Site) -> None:
    assert (
        api.put("/store/items", json={"namespace": ["a"], "key": "k", "value": {"n": 1}}).status_code == 204
    )
    assert api.post("/store/namespaces", json={}).json() == {"namespaces": [["a"]]}
    cron = {"assistant_id": "steps", "schedule": "0 5 1 1 *", "input": {"log": []}}
    assert uuid.UUID(api.post("/runs/crons", json=cron).json()["user_id"])
    first, again = (
        api.post("/runs", json=BODY | {"after_seconds": 60}, headers={"Idempotency-Key": "k"}) for _ in "12"
    )
    assert first.json() == again.json()
    assert api.post("/runs/cancel", json={"status": "all"}).status_code == 204


def test_users_with_uuids_find_their_threads_by_texts(api: httpx.Client, host: Site) -> None:
    # One that is there, because another test uses up what the user may have.
    threads = api.post("/threads/search", json={"limit": 1}).json() or [api.post("/threads", json={}).json()]
    thread = threads[0]["thread_id"]
    api.patch(f"/threads/{thread}", json={"metadata": {"title": "Of bitterns"}})
    found = api.post("/threads/search", json={"text": "bitterns"})
    assert (found.status_code, [each["thread_id"] for each in found.json()]) == (200, [thread])
    assert api.post("/threads/search", json={"text": "herons"}).json() == []


def test_scopes_and_limits_hold_below_the_prefix(api: httpx.Client, host: Site, keys: dict[str, str]) -> None:
    reading = {"X-Api-Key": keys["read"]}
    refused = api.post("/threads", json={}, headers=reading)
    assert (refused.status_code, "scope" in refused.json()["detail"]) == (403, True)
    assert api.post("/threads/search", json={}, headers=reading).status_code == 200
    assert api.post("/runs", json=BODY, headers={"X-Api-Key": "dfk_wrong"}).status_code == 401
    statuses = {api.post("/threads", json={}).status_code for _ in range(45)}
    assert statuses == {200, 429}


@pytest.mark.parametrize("command", [UVICORN, DAPHNE], ids=["uvicorn", "daphne"])
def test_other_servers_serve_the_host(
    tmp_path: Path, host_template: Template, cache: Path, command: tuple[str, ...]
) -> None:
    with host_template.copy(tmp_path) as database:
        site = Site(tmp_path, database, cache=cache, **HOST)
        try:
            site.start(*command)
            with get_sync_client(url=site.process.url, api_key="none") as client:
                assert client.runs.wait(None, "steps", input={"log": []})["log"] == STEPS
            assert httpx.get(site.process.url.removesuffix("agents") + "threads/").text == "Threads of wool"
            run = site.create("steps", {"delay": 0.3})
            site.process.send()
            site.process.wait()
            assert site.row(run)["status"] in ("pending", "success")
        finally:
            site.close()


@pytest.mark.postgresql
def test_workers_execute_what_the_host_creates(tmp_path: Path, host_template: Template, cache: Path) -> None:
    with host_template.copy(tmp_path) as database:
        site = Site(tmp_path, database, cache=cache, **HOST)
        try:
            serving = site.start("manage.py", "serve", "--no-execute", "--port", "{port}", port=free_port())
            site.worker(run_settings={"USER_CONCURRENCY": 2})
            run = site.create("steps", process=serving)
            assert site.finish(run)["status"] == "success"
        finally:
            site.close()


def test_a_router_that_separates_runs_from_users_is_an_error(host: Site) -> None:
    found = manage(host, "check", check=False, ROUTER="tests.host.routers.Separating")
    assert "runs.E021" in found
    assert "runs.E0" not in manage(host, "check", check=False)


def test_runserver_serves_the_host_with_its_static_files(
    tmp_path: Path, host_template: Template, cache: Path
) -> None:
    with host_template.copy(tmp_path) as database:
        site = Site(tmp_path, database, cache=cache, **HOST)
        try:
            command = ("manage.py", "runserver", "{port}", "--noreload", "--insecure")
            site.start(*command)
            base = site.process.url.removesuffix("/agents")
            assert httpx.get(base + "/static/runs/css/base.css").status_code == 200
            assert httpx.get(base + "/threads/").text == "Threads of wool"
            assert site.finish(site.create("steps"))["status"] == "success"
        finally:
            site.close()
