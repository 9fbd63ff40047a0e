"""Creating a run for a client that may disconnect meanwhile."""

from __future__ import annotations

from uuid import UUID

from runs.api.responses.following import cancel_left
from runs.identity.auth_file.named import ask_about_assistants
from runs.lifecycle.admission import create_run
from runs.models import Run
from runs.requests.bodies import RunCreate
from runs.requests.idempotency import Once
from threads.models.querysets import Principal


async def admit(
    body: RunCreate,
    *,
    thread_id: UUID | None,
    principal: Principal,
    attended: bool = False,
    once: Once | None = None,
) -> Run:
    """Create the run that a body asks for. A disconnect does not interrupt the admission.

    Args:
        once: The client's key, if it has sent one.
        attended: Whether the request lasts until the run's end, so that `on_disconnect` applies.
    """
    wanted = body.request(stateless=thread_id is None)
    principal = await ask_about_assistants(principal, [wanted.assistant_id])

    def left(run: Run) -> None:
        if attended and wanted.on_disconnect == "cancel":
            cancel_left(run.id, principal=principal)

    return await create_run(wanted, principal=principal, thread_id=thread_id, left=left, once=once)
