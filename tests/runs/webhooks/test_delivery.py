"""A run with a webhook: any committed end is delivered, with retries."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError

from runs.lifecycle import cancellation
from runs.lifecycle.orphan_settlement import fail_orphan
from runs.models import Run, WebhookDelivery
from runs.process.wakeups import WEBHOOKS
from runs.retention.policy import Policy, steps
from runs.webhooks import outbox
from runs.webhooks.deliverer import AT_ONCE, crowding
from runs.webhooks.outbox import Avoid
from runs.webhooks.sending import lookups_left, open_client, send
from runs.worker.opening import open_runtime
from tests.support.driving import Driver
from tests.support.receiver import ALLOWED, Receiver, receiving
from tests.support.retention import pruning
from tests.support.rows import make_run, make_thread, make_user, orphan
from threads.db import clock
from threads.db.database import in_database, threads
from threads.models import Thread

SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()


@pytest.fixture
def receiver(run_settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(outbox, "FACTOR", 1.0)
    run_settings(**ALLOWED, WEBHOOK_SECRETS=[SECRET])
    with receiving() as made:
        yield made


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(20):
        while not (found := condition()):
            await asyncio.sleep(0.005)
    return found


async def concluded(run: Run, state: str = "delivered") -> WebhookDelivery:
    """A run's only delivery, once it is in a state."""
    async with asyncio.timeout(20):
        while True:
            row = await in_database(WebhookDelivery.objects.filter(run_id=run.id).first)
            if row is not None and row.state == state:
                return row
            await asyncio.sleep(0.01)


async def test_webhooks_have_the_sites_headers_and_can_be_off(
    driver: Driver, receiver: Receiver, run_settings: Any
) -> None:
    run_settings(**ALLOWED, WEBHOOK_SECRETS=[SECRET], WEBHOOK_HEADERS={"X-Key": "ours", "Host": "another"})
    await concluded(await driver.start("steps", webhook=receiver.url))
    [received] = receiver.received
    assert (received.headers["x-key"], received.headers["host"]) == ("ours", f"127.0.0.1:{receiver.port}")
    run_settings(**ALLOWED, WEBHOOKS=False)
    run = await driver.finish(await driver.start("steps", webhook=receiver.url))
    assert not await in_database(WebhookDelivery.objects.filter(run_id=run.id).exists)


async def test_the_end_of_a_run_is_told_with_what_it_came_to(driver: Driver, receiver: Receiver) -> None:
    run = await driver.start("steps", metadata={"mine": 1}, webhook=receiver.url)
    await concluded(run)
    (received,) = receiver.received
    row = await driver.row(run)
    assert received.path == "/hook?a=1"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["content-type"] == "application/json"
    told = received.json
    assert (told["run_id"], told["thread_id"], told["status"]) == (str(run.id), str(run.thread_id), "success")
    assert told["values"] == {"log": [f"s{number}" for number in range(10)]}
    assert told["error"] is None
    assert told["metadata"]["mine"] == 1
    assert told["kwargs"]["webhook"] == receiver.url
    assert told["run_ended_at"] == row.finished_at.isoformat(timespec="microseconds")
    assert told["run_started_at"] <= told["run_ended_at"] <= told["webhook_sent_at"]


async def test_the_receiver_can_check_who_sent_it(driver: Driver, receiver: Receiver) -> None:
    run = await driver.start("sleeping", webhook=receiver.url)
    delivery = await concluded(run)
    (received,) = receiver.received
    sent_at, signature = received.headers["webhook-timestamp"], received.headers["webhook-signature"]
    signed = f"{received.id}.{sent_at}.".encode() + received.body
    digest = hmac.new(b"s" * 24, signed, hashlib.sha256).digest()
    assert signature == "v1," + base64.b64encode(digest).decode()
    assert received.id == str(delivery.id)
    # After delivery no copy is kept.
    assert delivery.payload is None


async def test_a_failed_run_is_told_with_its_error(driver: Driver, receiver: Receiver) -> None:
    run = await driver.start("failing", webhook=receiver.url)
    await concluded(run)
    told = receiver.received[0].json
    assert told["status"] == "error"
    assert told["error"] == {"error": "ValueError", "message": "kaboom"}
    assert told["values"] == {"log": ["before"]}


async def test_a_run_that_asks_is_told_as_a_success(driver: Driver, receiver: Receiver) -> None:
    run = await driver.start("asking", webhook=receiver.url)
    await concluded(run)
    assert receiver.received[0].json["status"] == "success"


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancelled_run_is_told_as_interrupted(
    driver: Driver, receiver: Receiver, action: str
) -> None:
    run = await driver.start("sleeping", {"log": [], "delay": 30}, webhook=receiver.url)
    await driver.executing(run, "sleep")
    await cancellation.cancel_run(run.id, thread_id=None, principal=driver.principal, action=action)
    await concluded(run)
    told = receiver.received[0].json
    assert (told["status"], told["error"]) == ("interrupted", None)
    # A rolled-back run does not change the thread.
    assert (told["values"] or None) == ({"log": [], "delay": 30} if action == "interrupt" else None)


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_run_that_is_superseded_before_it_began_is_told_too(
    driver: Driver, receiver: Receiver, action: str
) -> None:
    first = await driver.start("sleeping", {"log": [], "delay": 30})
    waiting = await driver.start("sleeping", thread=first.thread_id, webhook=receiver.url)
    await driver.start("sleeping", thread=first.thread_id, multitask_strategy=action)
    await concluded(waiting)
    told = receiver.received[0].json
    assert (told["run_id"], told["status"]) == (str(waiting.id), "interrupted")
    assert told["run_started_at"] is None


async def test_a_run_that_reached_its_time_limit_is_told(
    driver: Driver, receiver: Receiver, run_settings: Any
) -> None:
    run_settings(RUN_TIMEOUT=0.05)
    run = await driver.start("sleeping", {"log": [], "delay": 30}, webhook=receiver.url)
    await concluded(run)
    told = receiver.received[0].json
    assert (told["status"], told["error"]["error"]) == ("timeout", "RunTimeout")


@pytest.mark.django_db(transaction=True)
def test_an_orphan_that_fails_is_told(run_settings: Any) -> None:
    run_settings(**ALLOWED)
    run = orphan(kwargs={"webhook": "http://127.0.0.1:1/"})
    assert fail_orphan(run)
    payload = outbox.claim(limit=5, avoid=Avoid())[0].payload
    assert (payload["run_id"], payload["status"]) == (str(run.id), "error")
    assert payload["error"]["error"] == "WorkerLost"


@pytest.mark.django_db(transaction=True)
def test_a_run_ends_whose_webhook_cannot_be_added(
    run_settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_settings(**ALLOWED)

    def refused(**columns: Any) -> None:
        raise IntegrityError("no such row")

    monkeypatch.setattr(WebhookDelivery.objects, "create", refused)
    run = orphan(kwargs={"webhook": "http://127.0.0.1:1/"})
    assert fail_orphan(run)
    run.refresh_from_db()
    assert run.status == "error"
    assert "its end could not be announced" in caplog.text


async def test_the_webhook_of_a_stateless_run_outlives_its_thread(driver: Driver, receiver: Receiver) -> None:
    receiver.open.clear()
    run = await driver.start("sleeping", webhook=receiver.url, on_completion="delete")
    await until(lambda: receiver.received)
    await in_database(Run.objects.filter(id=run.id).delete)
    await in_database(Thread.objects.filter(id=run.thread_id).delete)
    receiver.open.set()
    await concluded(run)


async def test_what_is_not_accepted_is_sent_again_under_the_same_id(
    driver: Driver, receiver: Receiver
) -> None:
    receiver.answers = [500, 302, 404, 429]
    receiver.headers = {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    run = await driver.start("sleeping", webhook=receiver.url)
    delivery = await concluded(run)
    assert (delivery.attempts, delivery.status_code, delivery.last_error) == (5, 200, None)
    assert {received.id for received in receiver.received} == {str(delivery.id)}
    # No redirect was followed.
    assert {received.path for received in receiver.received} == {"/hook?a=1"}
    assert len({received.json["webhook_sent_at"] for received in receiver.received}) == 5


async def test_it_is_given_up_at_last_and_can_be_tried_again(
    driver: Driver, receiver: Receiver, run_settings: Any
) -> None:
    run_settings(WEBHOOK_ATTEMPTS=3)
    receiver.answers = [503] * 3
    run = await driver.start("sleeping", webhook=receiver.url)
    delivery = await concluded(run, "failed")
    assert (delivery.attempts, delivery.last_error) == (3, "The receiver answered 503.")
    assert len(receiver.received) == 3
    assert await in_database(outbox.try_again, WebhookDelivery.objects.filter(id=delivery.id)) == 1
    await concluded(run)
    assert receiver.received[3].id == str(delivery.id)


async def test_a_receiver_that_is_gone_is_not_asked_again(driver: Driver, receiver: Receiver) -> None:
    receiver.answers = [410]
    delivery = await concluded(await driver.start("sleeping", webhook=receiver.url), "failed")
    assert (delivery.attempts, delivery.status_code) == (1, 410)


async def test_a_receiver_that_hangs_is_left_and_holds_up_no_other_one(
    driver: Driver, receiver: Receiver, run_settings: Any
) -> None:
    run_settings(WEBHOOK_TIMEOUT=0.3)
    receiver.open.clear()
    hanging = [await driver.start("sleeping", webhook=receiver.url) for _ in range(20)]
    await until(lambda: len(receiver.received) >= 4)
    with receiving() as other:
        await concluded(await driver.start("sleeping", webhook=other.url))
    receiver.open.set()
    for run in hanging:
        await concluded(run)


async def test_silent_receivers_of_one_user_hold_up_nobody_else(
    driver: Driver, receiver: Receiver, run_settings: Any
) -> None:
    receiver.open.clear()
    others = [await in_database(make_user) for _ in range(3)]
    for user in others[:2]:
        for number in range(2 * AT_ONCE):
            await in_database(delivery_to, receiver.url, user=user, host=f"h{number}:80")
    driver.runtime.wakeups.ring(WEBHOOKS)
    await until(lambda: len(receiver.received) >= AT_ONCE // 2)
    with receiving() as other:
        for _ in range(5):
            delivery = await in_database(delivery_to, other.url, user=others[2], host="other:80")
            driver.runtime.wakeups.ring(WEBHOOKS)
            await until(lambda: str(delivery.id) in [each.id for each in other.received])  # noqa: B023
    # Half of all for the first, half of the rest for the second, about.
    senders = await in_database(
        lambda: Counter(
            WebhookDelivery.objects.filter(attempts=1, state="pending").values_list("user_id", flat=True)
        )
    )
    assert AT_ONCE // 2 <= senders[others[0].pk] <= AT_ONCE // 2 + 4
    assert AT_ONCE // 4 - 4 <= senders[others[1].pk] <= AT_ONCE // 4 + 4


async def test_names_that_nobody_resolves_hold_up_nobody_else(
    driver: Driver, receiver: Receiver, run_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lookup cannot be interrupted: its thread is occupied for longer than the delivery waits."""
    run_settings(WEBHOOK_TIMEOUT=0.1)
    answered = threading.Event()
    lookup = socket.getaddrinfo

    def silent(host: str, *arguments: Any, **options: Any) -> Any:
        if host.endswith(".invalid"):
            answered.wait(20)
        return lookup(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    greedy, patient = [await in_database(make_user) for _ in range(2)]
    try:
        for number in range(3 * AT_ONCE):
            url = f"http://n{number}.invalid/"
            await in_database(delivery_to, url, user=greedy, host=f"n{number}.invalid:80")
        driver.runtime.wakeups.ring(WEBHOOKS)
        await until(lambda: lookups_left()[greedy.pk] >= AT_ONCE // 2)
        await asyncio.sleep(0.5)
        assert lookups_left()[greedy.pk] <= AT_ONCE // 2 + 4
        delivery = await in_database(delivery_to, receiver.url, user=patient, host="other:80")
        driver.runtime.wakeups.ring(WEBHOOKS)
        await until(lambda: [each.id for each in receiver.received] == [str(delivery.id)])
    finally:
        answered.set()
    await until(lambda: not lookups_left())


def test_a_user_gets_no_more_than_what_is_left_for_others() -> None:
    assert crowding({}, AT_ONCE) == []
    assert crowding({1: 15}, 17) == []
    assert crowding({1: 16}, 16) == [1]
    assert crowding({1: 16, 2: 7}, 9) == [1]
    assert crowding({1: 16, 2: 8}, 8) == [1, 2]


async def test_a_policy_that_changed_meanwhile_is_obeyed(
    driver: Driver, receiver: Receiver, run_settings: Any
) -> None:
    run_settings(WEBHOOK_NETWORKS=[])
    delivery = await concluded(await driver.start("sleeping", webhook=receiver.url), "failed")
    assert delivery.last_error == "Webhook host blocked: loopback IP range"
    assert delivery.attempts == 1
    assert receiver.received == []


async def test_proxies_of_the_environment_are_not_used(
    driver: Driver, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    delivery = await in_database(delivery_to, receiver.url)
    async with open_client() as client:
        assert (await send(client, delivery)).status_code == 200


async def test_the_host_of_the_url_is_asked_for_at_the_address_that_was_checked(
    driver: Driver, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def somewhere(url: Any, policy: Any, *, user_id: int) -> str:
        return "127.0.0.1"

    monkeypatch.setattr("runs.webhooks.sending.resolve", somewhere)
    delivery = await in_database(delivery_to, f"http://example.com:{receiver.port}/x")
    async with open_client() as client:
        assert (await send(client, delivery)).error is None
    assert receiver.received[0].headers["host"] == f"example.com:{receiver.port}"


async def test_a_receivers_cookies_are_not_kept(driver: Driver, receiver: Receiver) -> None:
    receiver.headers = {"Set-Cookie": "session=1; Path=/"}
    delivery = await in_database(delivery_to, receiver.url)
    async with open_client() as client:
        for _ in range(2):
            assert (await send(client, delivery)).error is None
    # The server's own deliverer may have found the delivery too.
    assert len(receiver.received) >= 2
    assert {received.headers.get("cookie") for received in receiver.received} == {None}


async def test_an_answer_without_an_end_is_not_waited_for(driver: Driver, receiver: Receiver) -> None:
    receiver.headers = {"Transfer-Encoding": "chunked"}
    delivery = await in_database(delivery_to, receiver.url)
    async with open_client() as client, asyncio.timeout(10):
        assert (await send(client, delivery)).status_code == 200


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://no-such-host.invalid/", "The host's name cannot be resolved: "),
        ("http://127.0.0.1:1/", "ConnectError: "),
        ("https://127.0.0.1/", "webhook must be a URL of http."),
    ],
)
async def test_what_fails_says_why(driver: Driver, receiver: Receiver, url: str, error: str) -> None:
    delivery = await in_database(delivery_to, url)
    async with open_client() as client:
        result = await send(client, delivery)
    assert result.error is not None and result.error.startswith(error)
    assert result.final is (not url.startswith("http:"))


# --- several processes, and crashes


def delivery_to(url: str, **fields: Any) -> WebhookDelivery:
    now = clock.now()
    ids = {"run_id": uuid4(), "thread_id": uuid4()}
    times = {"due_at": now, "created_at": now}
    user = fields.pop("user", None) or make_user()
    return WebhookDelivery.objects.create(
        **{"user": user, "url": url, "host": "h", "payload": {"a": 1}, **ids, **times, **fields}
    )


@pytest.mark.django_db(transaction=True)
def test_a_delivery_is_one_senders_until_that_had_its_time(run_settings: Any) -> None:
    made = delivery_to("http://127.0.0.1:1/")
    (first,) = outbox.claim(limit=5, avoid=Avoid())
    assert first.id == made.id
    assert outbox.claim(limit=5, avoid=Avoid()) == []
    # The first one crashed, or is slow; the delivery is due again.
    WebhookDelivery.objects.update(due_at=clock.now() - timedelta(seconds=1))
    (second,) = outbox.claim(limit=5, avoid=Avoid())
    assert (first.attempts, second.attempts) == (1, 2)
    assert not outbox.conclude(first, outbox.Result(500, "The receiver answered 500."))
    assert outbox.conclude(second, outbox.Result(200))
    assert not outbox.conclude(second, outbox.Result(500, "The receiver answered 500."))
    row = WebhookDelivery.objects.get()
    assert (row.state, row.attempts, row.status_code) == ("delivered", 2, 200)


async def test_what_a_shutdown_breaks_off_is_sent_again_at_the_next_start(
    transactional_db: None, receiver: Receiver, trace_file: Path
) -> None:
    receiver.open.clear()
    async with open_runtime() as opened:
        driver = await Driver.create(opened, trace_file)
        run = await driver.start("steps", webhook=receiver.url)
        await until(lambda: receiver.received)
    left = await in_database(WebhookDelivery.objects.get)
    assert (left.state, left.attempts) == ("pending", 1)
    receiver.open.set()
    async with asyncio.timeout(5), open_runtime():
        await concluded(run)
    threads.close()
    assert [received.id for received in receiver.received] == [str(left.id)] * 2


@pytest.mark.django_db(transaction=True)
def test_what_was_concluded_or_taken_over_meanwhile_is_not_given_back(run_settings: Any) -> None:
    for _ in range(3):
        delivery_to("http://127.0.0.1:1/")
    broken_off, done, taken = outbox.claim(limit=5, avoid=Avoid())
    outbox.conclude(done, outbox.Result(200))
    due_at = clock.now() + timedelta(seconds=60)
    WebhookDelivery.objects.filter(id=taken.id).update(attempts=2, due_at=due_at)
    outbox.give_back([broken_off, done, taken])
    assert [each.id for each in outbox.claim(limit=5, avoid=Avoid())] == [broken_off.id]
    assert WebhookDelivery.objects.get(id=done.id).state == "delivered"
    assert WebhookDelivery.objects.get(id=taken.id).due_at == due_at


@pytest.mark.django_db(transaction=True)
def test_any_error_of_a_sender_is_kept(run_settings: Any) -> None:
    delivery_to("http://127.0.0.1:1/")
    (claimed,) = outbox.claim(limit=5, avoid=Avoid())
    outbox.conclude(claimed, outbox.Result(error="a\0b\udce9"))
    assert WebhookDelivery.objects.get(id=claimed.id).last_error == "a\N{REPLACEMENT CHARACTER}b\ufffd"


@pytest.mark.django_db(transaction=True)
def test_a_host_that_has_enough_to_do_is_left_out(run_settings: Any) -> None:
    delivery_to("http://a/", host="a:80")
    other = delivery_to("http://b/", host="b:80")
    assert [each.id for each in outbox.claim(limit=5, avoid=Avoid(hosts=["a:80"]))] == [other.id]


@pytest.mark.django_db(transaction=True)
def test_a_user_who_has_enough_under_way_is_left_out() -> None:
    mine, yours = delivery_to("http://a/", user=make_user()), delivery_to("http://a/", user=make_user())
    avoid = Avoid(users=[mine.user_id])
    assert outbox.next_due(avoid=avoid) == yours.due_at
    assert [each.id for each in outbox.claim(limit=5, avoid=avoid)] == [yours.id]
    assert outbox.next_due(avoid=Avoid(users=[mine.user_id, yours.user_id])) is None


@pytest.mark.django_db(transaction=True)
def test_pauses_grow_up_to_a_bound() -> None:
    pauses = [outbox.pause_after(attempts) for attempts in range(1, 30)]
    assert 4 <= pauses[0] <= 6 and 12 <= pauses[1] <= 18
    assert max(pauses) <= outbox.LONGEST_PAUSE * 1.2
    assert sum(pauses[:9]) > 10 * 3600


@pytest.mark.django_db(transaction=True)
def test_old_deliveries_are_removed_and_open_ones_are_not(run_settings: Any) -> None:
    now = clock.now()
    delivery_to("http://a/", state="delivered", finished_at=now - timedelta(days=8))
    kept = {
        delivery_to("http://a/", state="failed", finished_at=now).id,
        delivery_to("http://a/", due_at=now - timedelta(days=30)).id,
    }
    done = dict(steps(Policy.of_settings(), pruning()))
    assert done["webhooks"] == 1
    assert set(WebhookDelivery.objects.values_list("id", flat=True)) == kept


@pytest.mark.django_db(transaction=True)
def test_a_run_without_a_webhook_costs_nothing(run_settings: Any, django_assert_num_queries: Any) -> None:
    from runs.webhooks.announcements import announce

    run = make_run("running", thread=make_thread(epoch=1))
    with django_assert_num_queries(0):
        announce(run, status="success", now=clock.now())
