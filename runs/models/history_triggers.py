"""Triggers that record attempts with the status changes that begin and end them.

A trigger, so that no statement of any program can begin or end an attempt without its record, and so
that a claim or a settlement needs no further round trip.
"""

from __future__ import annotations

from typing import Any

RUNS, ATTEMPTS, ACTIONS, WORKERS = "runs_run", "runs_attempt", "runs_runaction", "runs_worker"
#: Why an attempt has ended, from its run's row before and after.
REASON = """CASE WHEN NEW.lost_attempts > OLD.lost_attempts THEN 'lost'
    WHEN NEW.status <> 'pending' THEN NEW.status
    WHEN OLD.cancel_action <> '' THEN 'lost'
    WHEN OLD.requeue_requested_at IS NOT NULL THEN 'requeued'
    ELSE 'drained' END"""
BEGIN = f"""INSERT INTO {ATTEMPTS} (run_id, number, epoch, worker_id, host, pid, began_at, reason)
    SELECT NEW.id, NEW.attempt, NEW.epoch, NEW.worker_id, coalesce(w.host, ''), coalesce(w.pid, 0), NEW.updated_at, ''
    FROM (SELECT 1) one LEFT JOIN {WORKERS} w ON w.id = NEW.worker_id
    WHERE true ON CONFLICT DO NOTHING;"""
END = f"""UPDATE {ATTEMPTS} SET ended_at = NEW.updated_at, reason = {REASON}
    WHERE run_id = OLD.id AND number = OLD.attempt;"""
#: The kinds of records that say why a run is gone, and so are not forgotten with it.
OUTLIVING = ("delete", "roll_back")
FORGET = (
    f"DELETE FROM {ATTEMPTS} WHERE run_id = OLD.id; "
    f"DELETE FROM {ACTIONS} WHERE run_id = OLD.id AND kind NOT IN {OUTLIVING};"
)

BEGINS_AT_ONCE = "NEW.status = 'running'"
BEGINS = "NEW.status = 'running' AND OLD.status <> 'running'"
ENDS = "OLD.status = 'running' AND NEW.status <> 'running'"
#: Name, event, condition, statements.
TRIGGERS = [
    ("begins_at_once", "INSERT", BEGINS_AT_ONCE, BEGIN),
    ("begins", "UPDATE OF status", BEGINS, BEGIN),
    ("ends", "UPDATE OF status", ENDS, END),
    ("forgets", "DELETE", "", FORGET),
]


def add(apps: Any, schema_editor: Any) -> None:
    """Create the triggers. To be repeated after an altered table of runs, which SQLite recreates without them."""
    postgresql = schema_editor.connection.vendor == "postgresql"
    for name, event, condition, statements in TRIGGERS:
        when = f" WHEN ({condition})" if condition else ""
        if postgresql:
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION {ATTEMPTS}_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {statements} RETURN NULL; END $$",
                params=None,
            )
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {ATTEMPTS}_{name} ON {RUNS}", params=None)
            action = f"EXECUTE FUNCTION {ATTEMPTS}_{name}()"
        else:
            action = f"BEGIN {statements} END"
        exists = "" if postgresql else "IF NOT EXISTS "
        schema_editor.execute(
            f"CREATE TRIGGER {exists}{ATTEMPTS}_{name} AFTER {event} ON {RUNS} FOR EACH ROW{when} {action}",
            params=None,
        )


def renew_forgets(apps: Any, schema_editor: Any) -> None:
    """Put the present trigger of a run's deletion in place of an older one."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(f"DROP TRIGGER {ATTEMPTS}_forgets")
    add(apps, schema_editor)


def remove(apps: Any, schema_editor: Any) -> None:
    postgresql = schema_editor.connection.vendor == "postgresql"
    for name, *_ in TRIGGERS:
        schema_editor.execute(f"DROP TRIGGER {ATTEMPTS}_{name}{f' ON {RUNS}' if postgresql else ''}")
        if postgresql:
            schema_editor.execute(f"DROP FUNCTION {ATTEMPTS}_{name}()")
