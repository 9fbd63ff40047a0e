"""Metrics of this process: requests to the API, and the lag of the event loop. Pure: no Django, no
database.

The number of labels is bounded: routes are templates, and all requests without a route share one
name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

#: Upper bounds of the latency's buckets, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
#: The route of requests that match none, the method of unknown methods, and the status when the client
#: disconnected.
NO_ROUTE, NO_METHOD, LEFT = "(none)", "(other)", 499

Labels = Mapping[str, object]
#: A metric's name, its kind, what it means, and its samples (suffix of the name, labels, value).
Sample = tuple[str, Labels, float]
Family = tuple[str, str, str, list[Sample]]


@dataclass(slots=True)
class Latency:
    """How long requests took until their response began; the response of a stream begins at once."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Cumulative counts as (upper bound, count); the last one counts all requests."""
        count = 0
        for bound, each in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            count += each
            yield bound, count


class Requests:
    """Requests to the API by method, route and status. Used only in the event loop."""

    def __init__(self) -> None:
        self.totals: Counter[tuple[str, str, int]] = Counter()
        self.latencies: dict[tuple[str, str], Latency] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else NO_METHOD
        self.totals[method, route, status] += 1
        self.latencies.setdefault((method, route), Latency()).add(seconds)

    def families(self) -> Iterator[Family]:
        samples: list[Sample] = [
            ("", {"method": method, "path": path, "status": status}, count)
            for (method, path, status), count in sorted(self.totals.items())
        ]
        yield "http_requests_total", "counter", "Requests to the API.", samples
        samples = []
        for (method, path), latency in sorted(self.latencies.items()):
            labels = {"method": method, "path": path}
            buckets = list(latency.cumulative())
            samples += [("_bucket", {**labels, "le": bound}, count) for bound, count in buckets]
            samples += [("_sum", labels, latency.total), ("_count", labels, buckets[-1][1])]
        yield "http_requests_latency_seconds", "histogram", "Time until the response began.", samples


@dataclass(slots=True)
class LoopLag:
    """How late the event loop runs callbacks, in seconds; measured regularly by a thread."""

    last: float = 0.0
    longest: float = 0.0

    def note(self, seconds: float) -> None:
        self.last, self.longest = seconds, max(self.longest, seconds)


requests = Requests()
loop_lag = LoopLag()


def gauge(name: str, meaning: str, value: float, **labels: object) -> Family:
    return name, "gauge", meaning, [("", labels, value)]


def exposition(families: Iterable[Family]) -> str:
    """The text that Prometheus reads (exposition format 0.0.4)."""
    lines: list[str] = []
    for name, kind, meaning, samples in families:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        for suffix, labels, value in samples:
            shown = ",".join(f'{key}="{_escaped(str(each))}"' for key, each in labels.items())
            lines.append(f"{name}{suffix}{f'{{{shown}}}' if shown else ''} {_number(value)}")
    return "\n".join((*lines, ""))


def _number(value: float) -> str:
    """A number with all its digits, so that a counter above a million still shows increments of
    one.
    """
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
