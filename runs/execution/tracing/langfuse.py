"""Langfuse: a trace for each run, by Langfuse's own environment variables (the extra `langfuse`).

All attempts of a run are one trace, whose id is the run's id. The thread is Langfuse's session.
"""

from __future__ import annotations

import base64
import logging
import os
import threading
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any
from uuid import UUID

from django.conf import settings as django_settings

from runs.identity.principals import auth_user
from runs.models import Run

logger = logging.getLogger(__name__)

#: The path of Langfuse's receiver of spans.
RECEIVER = "/api/public/otel/v1/traces"
#: How long a span waits for others of its batch, in seconds.
INTERVAL = 1.0
#: The number of spans that do not wait.
EARLY = 64
NOT_INSTALLED = "LANGFUSE_PUBLIC_KEY is set, but langfuse is not installed: pip install 'langfuse>=5'."

_lock = threading.Lock()
_client: Client | None = None
_failed = False


def enabled() -> bool:
    """Whether the environment has Langfuse's keys."""
    on = os.environ.get("LANGFUSE_TRACING_ENABLED", "true").lower() != "false"
    return on and bool(os.environ.get("LANGFUSE_PUBLIC_KEY") and os.environ.get("LANGFUSE_SECRET_KEY"))


def installed() -> bool:
    return find_spec("langfuse") is not None


def base_url() -> str:
    names = ("LANGFUSE_BASE_URL", "LANGFUSE_HOST")
    found = next((os.environ[name] for name in names if os.environ.get(name)), "https://cloud.langfuse.com")
    return found.rstrip("/")


def environment() -> str:
    """Langfuse's name of the place where this process runs."""
    given = os.environ.get("LANGFUSE_TRACING_ENVIRONMENT")
    return given or ("development" if django_settings.DEBUG else "production")


def opened() -> Client | None:
    """The client, if a run has used it."""
    return _client


def client() -> Client | None:
    """This process's client, made at the first use; None without Langfuse. An error is logged once."""
    global _client, _failed
    if _client is not None or _failed or not enabled():
        return _client
    with _lock:
        if _client is None and not _failed:
            try:
                _client = Client()
            except ImportError:
                _failed = True
                logger.error(NOT_INSTALLED)
            except Exception:
                _failed = True
                logger.exception("Langfuse cannot be used; runs are not traced.")
    return _client


def forget() -> None:
    """Read the environment again; for tests."""
    global _client, _failed
    _client, _failed = None, False


class Client:
    """Langfuse's client of this process, which sends through an outbox."""

    def __init__(self) -> None:
        # Not above: the package is optional, and takes half a second to import.
        from langfuse import Langfuse
        from langfuse.langchain import CallbackHandler

        from runs.execution.tracing.outbox import Outbox

        class Handler(CallbackHandler):
            """Called in the event loop, because LangChain would otherwise use a thread for each token."""

            run_inline = True

        self._handler = Handler
        self._key = os.environ["LANGFUSE_PUBLIC_KEY"]
        self._provider = _provider()
        self.outbox = Outbox(_receiver())
        self._langfuse = Langfuse(
            base_url=base_url(),
            environment=environment(),
            flush_interval=INTERVAL,
            flush_at=EARLY,
            tracer_provider=self._provider,
            span_exporter=self.outbox,
        )

    def handler(self, run_id: UUID) -> Any:
        """A handler for one attempt of a run."""
        return self._handler(public_key=self._key, trace_context={"trace_id": run_id.hex})

    def keeps(self, run_id: UUID) -> bool:
        """Whether a run's trace is among those that `LANGFUSE_SAMPLE_RATE` lets through."""
        found = self._provider.sampler.should_sample(None, run_id.int, "run")
        return bool(found.decision.is_sampled())

    def flush(self, seconds: float) -> bool:
        """Send what waits, for at most so long; return whether all of it was sent."""
        self._provider.force_flush()
        return self.outbox.flush(seconds)


def _provider() -> Any:
    """A provider of its own, so that Langfuse gets no spans of the site's other instrumentation."""
    # Not above, as the package.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    resource = {"langfuse.environment": environment()}
    if release := os.environ.get("LANGFUSE_RELEASE"):
        resource["langfuse.release"] = release
    rate = float(os.environ.get("LANGFUSE_SAMPLE_RATE", "1"))
    return TracerProvider(
        resource=Resource.create(resource), sampler=TraceIdRatioBased(rate), shutdown_on_exit=False
    )


def _receiver() -> Any:
    """The exporter that Langfuse's client would make; it is given one instead, so that it can be bounded."""
    # Not above, as the package.
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    key, secret = os.environ["LANGFUSE_PUBLIC_KEY"], os.environ["LANGFUSE_SECRET_KEY"]
    credentials = base64.b64encode(f"{key}:{secret}".encode()).decode()
    headers = {
        "Authorization": f"Basic {credentials}",
        "x-langfuse-sdk-name": "python",
        "x-langfuse-sdk-version": version("langfuse"),
        "x-langfuse-public-key": key,
        "x-langfuse-ingestion-version": "4",
    }
    timeout = int(os.environ.get("LANGFUSE_TIMEOUT", "5"))
    return OTLPSpanExporter(
        endpoint=base_url() + RECEIVER, headers=headers, timeout=timeout, compression=Compression.Gzip
    )


def metadata(run: Run) -> dict[str, Any]:
    """What Langfuse reads of a run's metadata. What the client gave is kept."""
    given = run.metadata
    mine = {
        "langfuse_session_id": str(run.thread_id),
        "langfuse_user_id": auth_user(run.user_id, run.auth_details).identity,
        "langfuse_trace_name": run.graph_id,
    }
    tags = given.get("langfuse_tags")
    tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    own = [f"graph:{run.graph_id}", f"assistant:{run.assistant.name}", f"environment:{environment()}"]
    return {
        **{name: given.get(name) or value for name, value in mine.items()},
        "langfuse_tags": list(dict.fromkeys([*tags, *own])),
    }
