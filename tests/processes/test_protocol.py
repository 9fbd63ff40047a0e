"""The agent streaming protocol of real servers: sockets, kills, drains, and slow clients."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from socket import SHUT_RDWR
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.processes.harness import SERVE, Process, Site, eventually, free_port, within
from tests.processes.protocol import CHANNELS, command, is_end, new_thread, socket, stream, told, whole
from tests.processes.test_servers import SERVERS

HI = {"messages": [{"role": "user", "content": "hi"}]}
UNDER = {"serve": SERVE, "uvicorn": SERVERS["uvicorn"]}


@pytest.mark.parametrize("server", UNDER)
def test_a_socket_carries_commands_and_events_and_closes_for_a_restart(site: Site, server: str) -> None:
    process = site.start(*UNDER[server])
    thread = new_thread()
    with socket(process, thread) as client:
        subscribed = client.command("subscription.subscribe", channels=CHANNELS)
        assert subscribed["result"]["replayed_events"] == 0
        started = client.command("run.start", assistant_id="talking", input={**HI, "tokens": 3})
        events = list(client.until_end())
        assert told(events) == told(whole(process, thread))
        assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
        assert events[0]["event_id"] == f"synth:{started['result']['run_id']}:lc||running"

        again = client.command("subscription.subscribe", channels=["lifecycle"], since=1)
        assert again["result"]["replayed_events"] == 1
        assert again["meta"]["applied_through_seq"] == len(events)
        assert client.command("bogus")["error"] == "unknown_command"
        client.connection.send("{")
        assert client.receive()["message"] == "Protocol commands must be valid JSON."
        client.connection.send(b"\x00")
        assert client.receive()["id"] is None

        process.send()
        with pytest.raises(ConnectionClosed) as closed:
            client.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


@pytest.mark.parametrize("server", UNDER)
def test_a_client_that_is_refused_is_told_why(site: Site, server: str) -> None:
    process = site.start(*UNDER[server])
    with socket(process, "nonsense") as client, pytest.raises(ConnectionClosed) as closed:
        client.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4422
    with pytest.raises(InvalidStatus), socket(process, new_thread(), origin="https://elsewhere.example"):
        pass
    with socket(process, new_thread()) as client, pytest.raises(ConnectionClosed) as closed:
        client.connection.send(json.dumps({"id": 1, "method": "x" * 1_200_000}))
        client.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_who_reconnects_after_a_kill_has_every_event_once(site: Site) -> None:
    process = site.start()
    thread = new_thread()
    started = command(process, thread, "run.start", assistant_id="steps", input={"log": [], "delay": 0.1})
    run = {"run_id": started["result"]["run_id"], "thread_id": thread}
    before = []
    for event in stream(process, thread):
        before.append(event)
        if event["method"] == "values" and event["params"]["data"]["log"][-1:] == ["s3"]:
            break
    process.kill()
    process = site.start()
    after = whole(process, thread, since=before[-1]["seq"])
    assert site.finish(run)["attempt"] == 2
    everything = told(whole(process, thread))
    # The last events before the kill may not have been written; their numbers are not used again.
    kept = [event for event in told(before) if event in everything]
    assert kept == told(before)[: len(kept)] == everything[: len(kept)]
    assert everything == kept + told(after)
    assert after[0]["seq"] > before[-1]["seq"]
    # A checkpoint's event has the checkpoint's id: the resuming attempt sends it again, and clients recognise
    # it.
    names = [each["event_id"] for each in before + after if each["method"] != "checkpoints"]
    assert len(names) == len(set(names))
    assert [seq for seq, *_ in everything] == sorted({seq for seq, *_ in everything})
    assert after[-1]["params"]["data"]["event"] == "completed"
    assert sum(each["event_id"].endswith(":lc||running") for each in before + after) == 1
    logs = [each["params"]["data"]["log"] for each in before + after if each["method"] == "values"]
    assert logs[-1] == [f"s{number}" for number in range(10)]
    assert all(len(log) == len(set(log)) for log in logs)


def test_a_slow_client_misses_nothing_and_does_not_slow_the_run(shared: Site) -> None:
    process, thread = shared.process, new_thread()
    with socket(process, thread, ping_interval=None) as slow:
        slow.command("subscription.subscribe", channels=CHANNELS)
        # Far more than the buffers of a connection hold; the client reads nothing meanwhile.
        started = command(process, thread, "run.start", assistant_id="talking", input={**HI, "tokens": 3_000})
        shared.finish({"run_id": started["result"]["run_id"], "thread_id": thread})
        assert told(slow.until_end()) == told(whole(process, thread))


@pytest.mark.parametrize("server", UNDER)
def test_an_event_may_be_larger_than_a_message_of_a_client(site: Site, server: str) -> None:
    process, thread, long = site.start(*UNDER[server]), new_thread(), "x" * 3_000_000
    with socket(process, thread) as client:
        client.command("subscription.subscribe", channels=["values", "lifecycle"])
        said = {"messages": [{"role": "user", "content": long}], "tokens": 1}
        command(process, thread, "run.start", assistant_id="talking", input=said)
        values = [each for each in client.until_end() if each["method"] == "values"]
        assert values[-1]["params"]["data"]["messages"][0]["content"] == long


def test_a_question_is_answered_over_a_socket(shared: Site) -> None:
    process, thread = shared.process, new_thread()
    with socket(process, thread) as client:
        client.command("subscription.subscribe", channels=["lifecycle", "input"])
        client.command("run.start", assistant_id="asking", input={"log": []})
        client.until_end()
        asked = next(each for each in client.events if each["method"] == "input.requested")
        question = asked["params"]["data"]
        assert question["payload"] == question["value"] == "well?"
        wrong = client.command("input.respond", namespace=[], interrupt_id="0" * 32, response=1)
        assert wrong["error"] == "no_such_interrupt"
        answer = client.command(
            "input.respond", namespace=[], interrupt_id=question["interrupt_id"], response="yes"
        )
        assert answer["result"]["run_id"]
        assert client.until_end(2)[-1]["params"]["data"]["event"] == "completed"
        again = client.command(
            "input.respond", namespace=[], interrupt_id=question["interrupt_id"], response="no"
        )
        assert again["error"] == "no_such_interrupt"
    assert "answer=yes" in shared.values({"thread_id": thread})["log"]


def test_two_processes_show_the_same_thread(site: Site) -> None:
    if not site.database.settings.get("DATABASE_URL"):
        # SQLite has one process; two of its sockets are enough.
        process = site.start()
        first, second = process, process
    else:
        first, second = site.several(2)
    thread = new_thread()
    with socket(first, thread) as one, socket(second, thread) as other:
        for client in (one, other):
            client.command("subscription.subscribe", channels=CHANNELS)
        one.command("run.start", assistant_id="talking", input={**HI, "tokens": 50, "delay": 0.01})
        assert told(one.until_end()) == told(other.until_end())


@pytest.mark.postgresql
def test_who_reads_at_another_process_has_everything_in_order_and_at_once(site: Site) -> None:
    here, there = site.several(2)
    thread = new_thread()
    with ThreadPoolExecutor() as pool, socket(there, thread) as client:
        client.command("subscription.subscribe", channels=CHANNELS)
        command(here, thread, "run.start", assistant_id="steps", input={"log": [], "delay": 0.2})
        streamed = pool.submit(arrivals, there, thread)
        executed, at_once = arrivals(here, thread)
        read, later = streamed.result()
        assert told(client.until_end()) == told(executed) == told(read)
        # Not with the next poll, which may be two seconds later.
        late = sorted(there - here for here, there in zip(at_once, later, strict=True))
        assert late[len(late) // 2] < within(0.5)


@pytest.mark.postgresql
def test_who_reads_at_another_process_goes_on_when_the_one_that_executes_is_killed(site: Site) -> None:
    there = site.start(*SERVE, "--no-execute", port=free_port())
    here = site.start()
    thread = new_thread()
    with ThreadPoolExecutor() as pool, socket(there, thread) as client:
        client.command("subscription.subscribe", channels=CHANNELS)
        streamed = pool.submit(whole, there, thread)
        started = command(here, thread, "run.start", assistant_id="steps", input={"log": [], "delay": 0.1})
        run = {"run_id": started["result"]["run_id"], "thread_id": thread}
        site.executing(run, "s3")
        here.kill()
        again = site.start()
        events = told(list(client.until_end()))
        assert site.finish(run)["attempt"] == 2
        assert events == told(streamed.result()) == told(whole(again, thread)) == told(whole(there, thread))
    numbers = [seq for seq, *_ in events]
    assert numbers == sorted(set(numbers))
    names = [name for _, name, *_ in events]
    assert len(names) == len(set(names))
    assert [name for name in names if ":lc||" in name] == [
        f"synth:{run['run_id']}:lc||{said}" for said in ("running", "completed")
    ]


def arrivals(process: Process, thread: str) -> tuple[list[dict[str, Any]], list[float]]:
    """A thread's events up to the end of a run, with their times of arrival."""
    events, times = [], []
    for event in stream(process, thread):
        events.append(event)
        times.append(time.monotonic())
        if is_end(event):
            break
    return events, times


@pytest.mark.parametrize("server", UNDER)
def test_a_socket_ends_with_its_thread(site: Site, server: str) -> None:
    process = site.start(*UNDER[server])
    thread = new_thread()
    with socket(process, thread) as client:
        client.command("subscription.subscribe", channels=CHANNELS)
        client.command("run.start", assistant_id="sleeping", input={"log": [], "delay": 60})
        assert client.receive()["params"]["data"]["event"] == "running"
        site.client().threads.delete(thread)
        assert client.until_end()[-1]["params"]["data"]["event"] == "interrupted"
        assert client.receive()["params"]["data"]["event"] == "completed"
        with pytest.raises(ConnectionClosed) as closed:
            client.receive()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4404, "The thread was deleted.")
    # Whoever was away then learns it too.
    with socket(process, thread) as client:
        with pytest.raises(ConnectionClosed) as closed:
            client.command("subscription.subscribe", channels=CHANNELS, since=1)
            client.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4404


@pytest.mark.parametrize("server", UNDER)
def test_a_client_that_leaves_without_reading_is_not_one_of_its_users_connections_any_more(
    site: Site, server: str
) -> None:
    process = site.start(*UNDER[server], run_settings={"USER_CONNECTIONS": 1})
    thread = new_thread()
    command(process, thread, "run.start", assistant_id="talking", input={**HI, "tokens": 3_000})
    whole(process, thread)
    with socket(process, thread, ping_interval=None) as client:
        ask = json.dumps({"id": 1, "method": "subscription.subscribe", "params": {"channels": CHANNELS}})
        for _ in range(50):
            client.connection.send(ask)
        time.sleep(0.5)
        client.connection.socket.shutdown(SHUT_RDWR)
    eventually(lambda: _connects(process), what="the connection is released")


def _connects(process: Process) -> bool:
    with socket(process, new_thread()) as client:
        try:
            return bool(client.command("subscription.subscribe", channels=["lifecycle"]))
        except ConnectionClosed:
            return False
