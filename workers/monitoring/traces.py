"""Traces of rows for OpenTelemetry: where a row waited, and for how long.

A traced row has one trace for each round. The span `row` lasts from the acceptance of its batch until its outcome is durable, and
the others stand under it:

    queue wait    from the acceptance of the batch until a worker claimed the row, in its first attempt
    slot wait     until the engine began the request, for each prompt
    prefill       until the first token was there
    decode        until the text was whole; `generate` for engines that do not tell when the first token came
    flush         from the end of the attempt until its outcome was durable
    publish       the publishing of the round, from the process that published it

Spans have the batch, row, round, kind, model, lane, attempt, tokens and error code of the row as attributes, and never a text.
They are made after the fact, from times that are known anyway, and handed to a thread that sends them. If that thread cannot keep
up, or nobody takes them, spans are lost and rows are not held up.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jobs.batches.batch import Batch, Done
from jobs.batches.segments.line import Outcome
from jobs.errors import RequestError
from jobs.generation import Completion, GenerationRequest
from jobs.lanes.job import Job
from jobs.logs import logger
from jobs.settings import TraceSettings
from workers.monitoring.trace_ids import is_traced, root_span_id, trace_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.util.types import AttributeValue

PATH: Final = "/v1/traces"
"""The path of a receiver of OTLP over HTTP, for an endpoint that has none."""
SEND_S: Final = 10
"""Seconds that one try to send spans may take."""
CLOSE_S: Final = 2.0
"""Seconds that the end of a process waits until its last spans are sent."""
QUEUE: Final = 8192
"""The most spans that wait to be sent. Further ones push out the oldest."""
CHUNK: Final = 1024
"""The spans of publishing are sent in chunks of this many, so that those of a large batch are not pushed out by each other."""
NAME: Final = "nightpress"

Attributes = Mapping[str, "AttributeValue"]


@dataclass
class AttemptTrace:
    """The times of one attempt at a traced row, collected while it runs. One thread at a time may use it."""

    traces: "RowTraces"
    job: Job
    claimed_ns: int
    _submitted: dict[str, tuple[str, int]] = field(default_factory=dict)
    _answered: list[tuple[str, int, Completion, int]] = field(default_factory=list)

    def submitted(self, requests: Sequence[GenerationRequest]) -> None:
        """Note that requests were given to the engine."""
        now = self.traces.monotonic_ns()
        first = self.claimed_ns if not self._submitted and not self._answered else now
        self._submitted |= {one.request_id: (one.prompt.label, first) for one in requests}

    def answered(self, completion: Completion) -> None:
        """Note that the engine has answered a request."""
        label, submitted_ns = self._submitted.pop(completion.request_id, ("", 0))
        if submitted_ns:
            self._answered.append((label, submitted_ns, completion, self.traces.monotonic_ns()))

    def ended(self, outcome: Outcome, created_at: datetime | None) -> None:
        """Send the spans of the attempt, which has ended with this outcome."""
        key, traces = self.job.key, self.traces
        trace = trace_id(key.batch_id, key.row, outcome.round)
        named = traces.describe(key.batch_id, outcome)
        offset_ns = traces.offset_ns()
        if created_at is not None and outcome.round == 1 and self.job.attempt + self.job.crashes == 1:
            traces.span(trace, "queue wait", _ns(created_at), self.claimed_ns + offset_ns, named)
        for label, submitted_ns, completion, ended_ns in self._answered:
            about = {
                **named,
                "nightpress.prompt": label,
                **_tokens(completion.prompt_tokens, completion.completion_tokens),
            }
            begun_ns = completion.begun_ns or submitted_ns
            times = [("slot wait", submitted_ns, begun_ns)] if completion.begun_ns else []
            if completion.first_token_ns:
                times += [
                    ("prefill", begun_ns, completion.first_token_ns),
                    ("decode", completion.first_token_ns, ended_ns),
                ]
            else:
                times += [("generate", begun_ns, ended_ns)]
            code = completion.fault.code if completion.fault is not None else ""
            for name, begin, end in times:
                traces.span(trace, name, begin + offset_ns, end + offset_ns, about, code=code)


class RowTraces:
    """Sends the traces of rows. Threads may share it. Use `open_traces` to make one.

    `share` is the share of rows that are traced, and `lane` the lane of a worker. `now_ns` returns nanoseconds since 1970, and
    `monotonic_ns` is the clock of engines. `at_once` sends each span as it is made, for tests.
    """

    def __init__(
        self,
        exporter: "SpanExporter",
        share: float,
        about: Mapping[str, str],
        *,
        lane: str = "",
        at_once: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        from opentelemetry import trace as api
        from opentelemetry.context import Context
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        self._api, self._empty = api, Context()
        self._sampled = api.TraceFlags(api.TraceFlags.SAMPLED)
        self._share = share
        self._lane = {"nightpress.lane": lane} if lane else {}
        self._ids = _make_ids()
        self._now_ns = now_ns
        self.monotonic_ns = monotonic_ns
        resource = Resource({"service.name": NAME, "service.version": version("nightpress"), **about})
        self._provider = TracerProvider(
            resource=resource, sampler=ALWAYS_ON, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter, max_queue_size=QUEUE)
        )
        self._tracer = self._provider.get_tracer(NAME, version("nightpress"))

    def attempt(self, job: Job) -> AttemptTrace | None:
        """Return what collects the times of an attempt that begins now; None if its row is not traced."""
        if not is_traced(trace_id(job.key.batch_id, job.key.row, job.lease.round), self._share):
            return None
        return AttemptTrace(self, job, self.monotonic_ns())

    def written(self, batch_id: str, outcome: Outcome, ended_ns: int, created_at: datetime | None) -> None:
        """Send the span of a flush that has ended now, and that of the row if its outcome is final.

        `ended_ns` is when the attempt had ended, by the monotonic clock.
        """
        trace = trace_id(batch_id, outcome.row, outcome.round)
        if not is_traced(trace, self._share):
            return
        named, now = self.describe(batch_id, outcome), self._now_ns()
        code = str((outcome.error or {}).get("code", ""))
        self.span(trace, "flush", ended_ns + self.offset_ns(), now, named)
        if outcome.final:
            spent = outcome.usage + outcome.wasted
            about = {
                **named,
                **_tokens(spent.prompt_tokens, spent.completion_tokens),
                "nightpress.status": outcome.status,
            }
            began = _ns(created_at) if created_at is not None and outcome.round == 1 else self._began(outcome)
            self.span(trace, "row", began, now, about, code=code, is_root=True)

    def published(self, batch: Batch, done: Done, seconds: float) -> None:
        """Send a span for each traced row of a round that was published in this many seconds. Call it on a thread of its own."""
        ended = _ns(done.at)
        began, sent = ended - int(seconds * 1e9), 0
        for row in range(batch.rows):
            trace = trace_id(batch.batch_id, row, done.round)
            if not is_traced(trace, self._share):
                continue
            named: Attributes = {
                "nightpress.batch": batch.batch_id, "nightpress.row": row, "nightpress.round": done.round
            }  # fmt: skip
            self.span(trace, "publish", began, ended, named)
            sent += 1
            if sent % CHUNK == 0 and not self._provider.force_flush():
                return

    def describe(self, batch_id: str, outcome: Outcome) -> dict[str, "AttributeValue"]:
        """Return the attributes that each span of an attempt has."""
        return {
            "nightpress.batch": batch_id,
            "nightpress.row": outcome.row,
            "nightpress.round": outcome.round,
            "nightpress.kind": outcome.kind,
            "nightpress.attempt": outcome.attempt,
            "gen_ai.request.model": outcome.model,
            **self._lane,
        }

    def span(
        self,
        trace: int,
        name: str,
        began_ns: int,
        ended_ns: int,
        attributes: Attributes,
        *,
        code: str = "",
        is_root: bool = False,
    ) -> None:
        """Send a span of a trace, from one time to another in nanoseconds since 1970. `code` is its error, if it has one."""
        api, parent = self._api, self._empty
        if is_root:
            self._ids.take_next(trace, root_span_id(trace))
        else:
            root = api.SpanContext(trace, root_span_id(trace), is_remote=True, trace_flags=self._sampled)
            parent = api.set_span_in_context(api.NonRecordingSpan(root), parent)
        about = {**attributes, **({"error.type": code} if code else {})}
        span = self._tracer.start_span(name, parent, start_time=min(began_ns, ended_ns), attributes=about)
        if code:
            span.set_status(api.Status(api.StatusCode.ERROR, code))
        span.end(ended_ns)

    def offset_ns(self) -> int:
        """Return what makes a time of the monotonic clock nanoseconds since 1970."""
        return self._now_ns() - self.monotonic_ns()

    def close(self) -> None:
        """Send what waits, for CLOSE_S seconds at most. What is left then is lost."""
        thread = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        thread.start()
        thread.join(CLOSE_S)

    def _began(self, outcome: Outcome) -> int:
        began = outcome.receipt.get("started_at")
        return self._now_ns() if began is None else _ns(datetime.fromisoformat(began))


def _watched(exporter: "SpanExporter", endpoint: str) -> "SpanExporter":
    """Return an exporter that logs once if the receiver takes nothing, and once when it takes spans again.

    The client's own lines, one for each try of each worker, are left out.
    """
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Watched(SpanExporter):
        def __init__(self) -> None:
            self._is_away = False

        def export(self, spans: Sequence["ReadableSpan"]) -> SpanExportResult:
            result = exporter.export(spans)
            is_away = result is not SpanExportResult.SUCCESS
            if is_away and not self._is_away:
                logger().warning("traces.lost", endpoint=endpoint)
            elif self._is_away and not is_away:
                logger().info("traces.back", endpoint=endpoint)
            self._is_away = is_away
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return Watched()


def _make_ids() -> Any:
    """Return the source of ids: random ones, but for the next span of a thread that has named its ids."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def __init__(self) -> None:
            self._next = threading.local()

        def take_next(self, trace: int, span: int) -> None:
            self._next.trace, self._next.span = trace, span

        def generate_trace_id(self) -> int:
            return self._next.__dict__.pop("trace", None) or super().generate_trace_id()

        def generate_span_id(self) -> int:
            return self._next.__dict__.pop("span", None) or super().generate_span_id()

    return Ids()


def open_traces(settings: TraceSettings, about: Mapping[str, str], lane: str = "") -> RowTraces | None:
    """Return the traces of a process; None if the settings ask for none. `about` names the process, as OpenTelemetry's resource.
    `lane` is the lane that a worker works on.

    Raises RequestError if OpenTelemetry is not installed.
    """
    if settings.endpoint is None or not settings.share:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise RequestError(
            f"[traces] names an endpoint, and {error.name} is not installed: pip install 'nightpress[traces]' on every node, or "
            "leave the endpoint out"
        ) from None
    parts = urlsplit(settings.endpoint)
    url = settings.endpoint if parts.path.strip("/") else f"{settings.endpoint.rstrip('/')}{PATH}"
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    exporter = OTLPSpanExporter(url, headers=headers, timeout=SEND_S)
    return RowTraces(_watched(exporter, url), settings.share, about, lane=lane)


def _tokens(prompt: int, completion: int) -> dict[str, int]:
    return {"gen_ai.usage.input_tokens": prompt, "gen_ai.usage.output_tokens": completion}


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1e6) * 1000
