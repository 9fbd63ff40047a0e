"""Fills a migrated PostgreSQL database with runs of ninety days, by statements of its own.

Rows are spread evenly over the time. Their columns are as a server writes them: ids with their time,
one log of tasks for each run, attempts, errors of several kinds, inputs of forty words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

Say = Callable[[str], None]

DAYS = 90
USERS, ASSISTANTS, WORKERS = 1000, 20, 50
#: Runs of a thread, and events of a run.
RUNS, EVENTS = 5, 10
#: Runs that one statement inserts.
BATCH = 100_000
#: Events of the one large run.
LARGE = 10_000

#: An id of version 7 from a number's time, as the server makes them: `{n}` is the number.
AN_ID = """(lpad(to_hex((extract(epoch from {at}) * 1000)::bigint), 12, '0')
    || '7' || substr(md5({salt} || ({n})), 1, 3) || '8' || substr(md5({salt} || ({n})), 4, 15))::uuid"""
#: Forty words, of which some are in few inputs.
WORDS = """(SELECT string_agg(substr(md5((mod(g, 5000) + word * 7919)::text), 1, 3 + mod(word, 5)), ' ')
    FROM generate_series(1, 40) AS word)"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many runs there will be, and the time of the last one; the rest follows from these."""

    runs: int
    ends: datetime

    @property
    def threads(self) -> int:
        return -(-self.runs // RUNS)

    def at(self, number: str, count: int) -> str:
        """The time of a numbered row among so many."""
        return f"(timestamptz '{self.ends}' - interval '{DAYS} days' * (1 - ({number})::float / {count}))"

    def an_id(self, kind: str, number: str, count: int) -> str:
        return AN_ID.format(at=self.at(number, count), salt=f"'{kind}'", n=number)


def fill(size: Size, say: Say) -> None:
    """Insert everything, in one session without triggers and foreign keys, and analyze it."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET synchronous_commit = off")
        for name, statement in _small(size):
            cursor.execute(statement)
            say(name)
        for first in range(1, size.threads + 1, BATCH):
            cursor.execute(_threads(size), [first, min(first + BATCH - 1, size.threads)])
        say("threads")
        for first in range(1, size.runs + 1, BATCH):
            last = min(first + BATCH - 1, size.runs)
            cursor.execute(_runs(size), [first, last])
            cursor.execute(_events(size), [first, last])
            say(f"{last:,} runs")
        cursor.execute(_attempts())
        cursor.execute(_large(), [LARGE])
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")
    say("analyzed")


def _small(size: Size) -> list[tuple[str, str]]:
    users = f"""INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email,
        is_staff, is_active, date_joined)
        SELECT '!', false, 'user-' || g, '', '', '', false, true, now() FROM generate_series(1, {USERS}) AS g"""
    assistants = f"""INSERT INTO runs_assistant (id, graph_id, name, config, context, metadata, version,
        created_at, updated_at)
        SELECT {size.an_id("assistant", "g", ASSISTANTS)}, 'graph-' || mod(g, 6), 'assistant-' || g, '{{}}', '{{}}',
            '{{}}', 1, now(), now() FROM generate_series(1, {ASSISTANTS}) AS g"""
    workers = f"""INSERT INTO runs_worker (id, host, pid, version, concurrency, started_at, heartbeat_at,
        lease_expires_at, draining, stopped_at)
        SELECT {size.an_id("worker", "g", WORKERS)}, 'host-' || mod(g, 5), 1000 + g, '1', 20, {size.at("g", WORKERS)}, now(),
            now() + interval '1 hour', false, CASE WHEN g < {WORKERS} - 4 THEN {size.at("g", WORKERS)} END
        FROM generate_series(1, {WORKERS}) AS g"""
    return [("users", users), ("assistants", assistants), ("workers", workers)]


def _threads(size: Size) -> str:
    return f"""INSERT INTO threads_thread (id, status, metadata, config, values, interrupts, epoch, created_at,
        updated_at, state_updated_at, user_id)
        SELECT {size.an_id("thread", "g", size.threads)},
            CASE WHEN mod(g, 400) = 0 THEN 'interrupted' WHEN mod(g, 20) = 0 THEN 'error' ELSE 'idle' END,
            jsonb_build_object('title', 'Order ORD-' || g, 'graph_id', 'graph-' || mod(g, 6)), '{{}}',
            '{{"messages": [{{"type": "ai", "content": "' || {WORDS} || '"}}]}}',
            CASE WHEN mod(g, 400) = 0 THEN '{{"task": [{{"id": "q' || g || '", "value": "May I?"}}]}}' ELSE '{{}}' END,
            {RUNS}, {size.at("g", size.threads)}, {size.at("g", size.threads)}, {size.at("g", size.threads)},
            (SELECT min(id) FROM auth_user) + mod(g, {USERS})
        FROM generate_series(%s::bigint, %s::bigint) AS g"""


def _runs(size: Size) -> str:
    """One in a hundred failed, one in four hundred was cancelled, the newest hundred wait."""
    thread = f"((g - 1) / {RUNS} + 1)"
    moment = size.at("g", size.runs)
    return f"""INSERT INTO runs_run (id, status, metadata, kwargs, multitask_strategy, temporary, recovery,
        created_at, updated_at, due_at, started_at, finished_at, attempt, lost_attempts, epoch, cancel_action,
        error, failure, event_count, input_tokens, output_tokens, usage, assistant_id, thread_id, user_id, worker_id, queue)
        SELECT {size.an_id("run", "g", size.runs)}, status,
            jsonb_build_object('ticket', 'T-' || g, 'ticket_number', g, 'tier', (ARRAY['free', 'pro', 'team'])[1 + mod(g, 3)]),
            '{{"input": {{"messages": [{{"role": "user", "content": "About ORD-' || g || ': ' || {WORDS} || '"}}]}},'
            || '"config": {{"configurable": {{"graph_id": "graph-' || mod(assistant.n, 6) || '"}}}}}}',
            'enqueue', false, '', moment, moment, moment,
            CASE WHEN status <> 'pending' THEN moment + interval '20 ms' END,
            CASE WHEN status <> 'pending' THEN moment + interval '20 ms' * (1 + mod(g, 997)) END,
            CASE WHEN status = 'pending' THEN 0 ELSE 1 END, 0, CASE WHEN status = 'pending' THEN 0 ELSE 1 END,
            CASE WHEN status = 'interrupted' THEN 'interrupt' ELSE '' END,
            CASE WHEN status = 'error' THEN '{{"error":"' ||
                (ARRAY['KeyError', 'TimeoutError', 'RateLimitError', 'GraphRecursionError'])[1 + mod(g / 100, 4)]
                || '","message":"order ORD-' || g || ' failed"}}' END,
            CASE WHEN status = 'error' THEN '{{"node":"node-' || mod(g / 100, 7)
                || '","tasks":[],"traceback":"Traceback"}}' END,
            {EVENTS}, mod(g, 3000), mod(g, 700), '{{"gpt-5":[' || mod(g, 3000) || ',' || mod(g, 700) || ']}}', assistant.id, {size.an_id("thread", thread, size.threads)},
            (SELECT min(id) FROM auth_user) + mod({thread}, {USERS}),
            NULL,
            (ARRAY['default', 'slow', 'batch'])[1 + mod(g, 3)]
        FROM (SELECT g, {moment} AS moment, CASE WHEN g > {size.runs} - 100 THEN 'pending'
                WHEN mod(g, 100) = 0 THEN 'error' WHEN mod(g, 400) = 7 THEN 'interrupted' WHEN mod(g, 1000) = 13 THEN 'timeout'
                ELSE 'success' END AS status FROM generate_series(%s::bigint, %s::bigint) AS g) AS drawn
        JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM runs_assistant WHERE user_id IS NULL) AS assistant
            ON assistant.n = 1 + mod(g, {ASSISTANTS})"""


def _attempts() -> str:
    """About one in ten thousand runs has lost its first process."""
    return """INSERT INTO runs_attempt (run_id, number, epoch, worker_id, host, pid, began_at, ended_at, reason)
        SELECT id, 1, 1, NULL, 'host', 1, started_at, finished_at,
            CASE WHEN mod((metadata ->> 'ticket_number')::int, 10000) = 1 THEN 'lost' ELSE status END
        FROM runs_run WHERE started_at IS NOT NULL"""


def _events(size: Size) -> str:
    """Five tasks, each with its begin and its end."""
    moment = size.at("g", size.runs)
    task = "'T' || (e + 1) / 2"
    return f"""INSERT INTO runs_runevent (run_id, epoch, seq, event, data, created_at)
        SELECT id, 1, e, 'tasks', CASE WHEN mod(e, 2) = 1
                THEN '{{"id":"' || {task} || '","name":"node-' || e / 2 || '","input":{{"text":"' || md5(g::text)
                    || '"}},"triggers":["start"]}}'
                ELSE '{{"id":"' || {task} || '","name":"x","error":null,"interrupts":[],"result":{{"text":"'
                    || md5(g::text) || md5(e::text) || '"}}}}' END,
            moment + interval '1 ms' * e
        FROM (SELECT g, {size.an_id("run", "g", size.runs)} AS id, {moment} AS moment
            FROM generate_series(%s::bigint, %s::bigint) AS g) AS run, generate_series(1, {EVENTS}) AS e"""


def _large() -> str:
    """Many events more for the newest run that succeeded."""
    return f"""INSERT INTO runs_runevent (run_id, epoch, seq, event, data, created_at)
        SELECT id, 1, e, 'tasks', '{{"id":"L' || (e + 1) / 2 || '","name":"' || CASE WHEN mod(e, 2) = 1
                THEN 'step","input":{{}},"triggers":[]}}' ELSE 'x","error":null,"interrupts":[],"result":{{}}}}' END,
            started_at + interval '1 ms' * e
        FROM (SELECT id, started_at FROM runs_run WHERE status = 'success' ORDER BY id DESC LIMIT 1) AS run,
            generate_series({EVENTS} + 1, %s::bigint) AS e"""
