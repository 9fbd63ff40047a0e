"""Signals about runs, for a site's own code.

    @receiver(run_finished)
    def ship(sender, run_id, status, metadata, notice_id, **kwargs): ...

They are sent after the commit that they are about, in a process that executes runs, at least once: a
process that dies while a receiver works, or a receiver that raises, makes the signal be sent again.
`notice_id` is the same each time. The order of the signals of different runs is not kept.

Every receiver gets `run_id`, `thread_id`, `user_id`, `assistant_id`, `status`, `error`, `metadata` (the
run's, as JSON) and `notice_id`. The sender is the class `Run`.
"""

from __future__ import annotations

from django.dispatch import Signal

#: A run began to execute. `status` is "running".
run_started = Signal()
#: A run has stopped and waits for a person. `status` is "success", as over HTTP.
run_interrupted = Signal()
#: A run has ended, and does not wait for a person: it succeeded, failed, or was cancelled.
run_finished = Signal()

BY_NAME = {"run_started": run_started, "run_interrupted": run_interrupted, "run_finished": run_finished}
