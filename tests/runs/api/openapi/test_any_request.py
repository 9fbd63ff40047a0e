"""Any request that the API's document allows, or nearly allows, gets an answer that the document describes.

`EXAMPLES=300` tries more requests to each route, and different ones each time.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any
from uuid import uuid4

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation

from runs.api.openapi.document import document
from runs.api.site import api

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = int(os.environ.get("EXAMPLES", "8"))
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
#: How long an answer may take to begin, and how long a stream is then read, in seconds.
PATIENCE, LISTENING = 10.0, 0.3

DESCRIBED: dict[str, Any] = document(api)["paths"]

Known = dict[str, str]


@pytest.fixture
async def known(http: httpx.AsyncClient) -> Known:
    """The objects on the server."""
    thread = (await http.post("/threads", json={"metadata": {"a": [1]}})).json()["thread_id"]
    run = await http.post(
        f"/threads/{thread}/runs/wait", json={"assistant_id": "steps", "input": {"log": []}}
    )
    assistant = (await http.post("/assistants", json={"graph_id": "nested"})).json()["assistant_id"]
    state = (await http.get(f"/threads/{thread}/state")).json()
    return {
        "thread_id": thread,
        "run_id": run.headers["content-location"].rpartition("/")[2],
        "assistant_id": assistant,
        "checkpoint_id": state["checkpoint_id"],
        "namespace": "child",
        "cron_id": str(uuid4()),
    }


def aimed(case: Any, known: Known) -> None:
    """Let a request name existing objects, so that it is not refused only for missing ones."""
    case.path_parameters = {
        name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
    }
    if isinstance(case.body, dict):
        case.body.update({name: known[name] for name in ("thread_id", "run_id") if name in case.body})
        if "assistant_id" in case.body:
            # Quick graphs, because created runs are awaited.
            case.body |= {"assistant_id": "steps", "input": {"log": []}, "after_seconds": 0}
        if "graph_id" in case.body:
            case.body["graph_id"] = "steps"


def answered(case: Any, url: str, session: requests.Session) -> None:
    """Send a request; raises if its answer is wrong."""
    request = case.as_transport_kwargs(base_url=url)
    request["cookies"] = None
    with session.request(**request, stream=True, timeout=(PATIENCE, PATIENCE)) as answer:
        if "text/event-stream" in answer.headers.get("content-type", ""):
            # An endless stream is closed, as by clients.
            answer.raw._fp.fp.raw._sock.settimeout(LISTENING)
            try:
                for _ in answer.iter_content(65536):
                    pass
            except requests.exceptions.ConnectionError:
                return
        else:
            _ = answer.content
        assert answer.status_code < 500, answer.text
        described = DESCRIBED[case.operation.path][case.operation.method.lower()]["responses"]
        assert str(answer.status_code) in described, f"{answer.status_code} is not described: {answer.text}"
        if 200 <= answer.status_code < 300 and "event-stream" not in answer.headers.get("content-type", ""):
            case.validate_response(answer, checks=CHECKS)
        elif answer.status_code >= 400:
            assert is_refusal(answer), answer.text


def is_refusal(answer: requests.Response) -> bool:
    """Whether it has a reason in words; the reference server's other formats are allowed."""
    try:
        said = json.loads(answer.content)
    except ValueError:
        return answer.headers["content-type"].startswith("text/plain") and bool(answer.text)
    return isinstance(said, dict) and all(isinstance(said[name], str | None) for name in said)


def check(operation: APIOperation, url: str, known: Known) -> None:
    """Send many requests to one route; raises at the first wrong answer."""
    strategies = [operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]

    with requests.Session() as session:

        @settings(
            max_examples=EXAMPLES,
            derandomize="EXAMPLES" not in os.environ,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=st.one_of(strategies), there=st.booleans())
        def many_requests(case: Any, there: bool) -> None:
            if there:
                aimed(case, known)
            answered(case, url, session)

        many_requests()


def operations() -> list[APIOperation]:
    """Every route; those that delete objects come last."""
    every = [result.ok() for result in schemathesis.openapi.from_dict(document(api)).get_all_operations()]
    return sorted(every, key=lambda operation: operation.method == "delete" or "prune" in operation.path)


async def test_any_request_is_answered_as_the_document_says(url: str, known: Known) -> None:
    failures: dict[str, str] = {}
    for operation in operations():
        try:
            await asyncio.to_thread(check, operation, url, known)
        except (AssertionError, FailureGroup, requests.RequestException) as error:
            reasons = error.exceptions if isinstance(error, FailureGroup) else [error]
            failures[operation.label] = "; ".join(
                f"{reason} {getattr(reason, '__notes__', '')}" for reason in reasons
            )
    assert failures == {}
