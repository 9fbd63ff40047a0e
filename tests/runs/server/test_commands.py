"""`manage.py serve` and `manage.py runserver`, over the dummy runtime."""

from __future__ import annotations

import signal
import socket

import httpx
import pytest

from tests.runs.server.processes import running

MANAGE = ("-m", "tests.runs.server.dummy_manage")
SERVE = (*MANAGE, "serve", "--port", "0")

pytestmark = pytest.mark.server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_listens_on_a_free_port_serves_and_drains(number: signal.Signals) -> None:
    with running(*SERVE) as server:
        assert httpx.get(server.url + "/ok").json() == {"path": "/ok", "size": 0}
        assert httpx.get(server.url + "/elsewhere").json()["path"] == "/elsewhere"
        server.signal(number)
        assert server.wait() == 0
        assert server.lines[0] == "opened execute=True"
        assert server.lines[-1] == "drained"


def test_serve_can_leave_the_runs_to_other_processes() -> None:
    with running(*SERVE, "--no-execute") as server:
        server.expect("^opened execute=False$")
        server.expect("Listening")
        assert server.stop() == 0


def test_serve_refuses_an_unmigrated_database() -> None:
    with running(*SERVE, UNMIGRATED="1") as server:
        assert server.wait() == 1
        assert server.lines == [
            "CommandError: The database is not migrated: run `python manage.py migrate` first."
        ]


def test_serve_exits_with_3_if_another_process_executes_runs() -> None:
    with running(*SERVE, START="refuses") as server:
        assert server.wait() == 3
        assert server.lines == ["CommandError: Another process executes runs on this database."]


def test_serve_exits_with_1_and_a_traceback_if_the_start_fails() -> None:
    with running(*SERVE, START="fails") as server:
        assert server.wait() == 1
        assert "Traceback" in server.output
        assert server.lines[-1] == "CommandError: the pool did not open"


@pytest.mark.parametrize("port", ["http", "-1", "65536", "8000.0"])
def test_serve_says_what_a_port_is(port: str) -> None:
    with running(*MANAGE, "serve", f"--port={port}") as server:
        assert server.wait() == 2
        assert f"{port!r} is not a port number: use 0 to 65535" in server.output


@pytest.mark.parametrize("command", [["serve", "--port"], ["runserver", "--noreload"]])
def test_a_port_in_use_is_one_line_after_the_runtime_was_closed(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with running(*MANAGE, *command, str(taken.getsockname()[1])) as server:
            assert server.wait() == 1
    assert "in use" in server.lines[-1]
    assert "Traceback" not in server.output
    assert "drained" in server.lines


def test_serve_on_an_address_that_does_not_exist_is_one_line() -> None:
    with running(*SERVE, "--host", "192.0.2.1") as server:
        assert server.wait() == 1
        assert server.lines[-1].startswith("CommandError: Cannot listen on 192.0.2.1:0: ")


def test_runserver_without_the_reloader_drains() -> None:
    with running(*MANAGE, "runserver", "--noreload", "0", DRAIN="0.5") as server:
        server.expect("settings tests.runs.server.dummy_settings. Stop with CONTROL-C.")
        assert httpx.get(server.url + "/ok").status_code == 200
        server.expect('"GET /ok" 200')
        server.signal()
        server.signal()
        assert server.wait() == 0
        assert "drained" in server.lines


def test_runserver_with_the_reloader_serves() -> None:
    with running(*MANAGE, "runserver", "0") as server:
        assert httpx.get(server.url + "/ok").status_code == 200
        server.signal(signal.SIGINT)
        server.wait()


def test_runserver_with_the_reloader_does_not_start_again_and_again_if_refused() -> None:
    with running(*MANAGE, "runserver", "0", START="refuses") as server:
        assert server.wait() == 1
        assert server.lines[-1] == "Error: Another process executes runs on this database."
