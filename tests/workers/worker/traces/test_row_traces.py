"""Shows workers/monitoring/traces.py in runs of a worker: the spans of rows, without their content. No row waits for them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `traces` is not installed")

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from jobs.batches.batch import Done
from jobs.generation import Completion, GenerationRequest
from jobs.lanes.job import Job, JobKey, Lease
from jobs.settings import TraceSettings
from tests.support.engines import Scripted, answer, fault
from tests.support.night import LANE
from tests.support.traces.otlp import running
from tests.support.worker_night import WorkerNight
from workers.engines.stub.engine import StubEngine, StubOptions
from workers.monitoring.trace_ids import root_span_id, trace_id
from workers.monitoring.traces import RowTraces, open_traces
from workers.worker.runner import Runner

SECRET = "a secret that nobody may read"


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


@dataclass
class Traced:
    """A night whose worker traces rows into memory."""

    night: WorkerNight
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def run(self, engine: Any, until: Callable[..., Any], share: float = 1.0) -> Done:
        """Run the night's batch, and return the marker of its round."""
        traces = RowTraces(self.exporter, share, {}, lane=LANE, at_once=True)
        context = replace(self.night.context(slots=engine.stats().slots), traces=traces)
        runner = Runner(context, engine)
        thread = threading.Thread(target=runner.run)
        thread.start()
        self.night.workers.append((runner, thread))
        return self.night.until_published(until)

    def spans(self, row: int, round_: int = 1) -> list[ReadableSpan]:
        """The spans of a row, by their start."""
        trace = trace_id(self.night.batch_id, row, round_)
        found = [span for span in self.exporter.get_finished_spans() if span.context.trace_id == trace]
        return sorted(found, key=lambda span: span.start_time or 0)


def once_out_of_memory() -> Callable[[GenerationRequest], Completion]:
    """Answers that fail the first request, and no other."""
    answers = iter([fault("out_of_memory", retryable=True)])

    def one(request: GenerationRequest) -> Completion:
        return next(answers, answer)(request)

    return one


def names(spans: list[ReadableSpan]) -> list[str]:
    return [span.name for span in spans]


@pytest.fixture
def traced(night: WorkerNight) -> Traced:
    return Traced(night)


def test_a_row_has_one_trace_from_its_acceptance_until_it_is_durable(traced: Traced, until: Callable[..., Any]) -> None:
    traced.night.accept([{"kind": "chat", "prompt": SECRET, "custom_id": f"id-{n}"} for n in range(3)])
    traced.run(StubEngine(StubOptions(step_s=0.001)), until)
    for row in range(3):
        spans = traced.spans(row)
        assert sorted(names(spans)) == sorted(["row", "queue wait", "slot wait", "prefill", "decode", "flush"])
        (root,) = [span for span in spans if span.name == "row"]
        assert root.parent is None
        assert root.context.span_id == root_span_id(root.context.trace_id)
        parents = {span.parent.span_id for span in spans if span.parent is not None}
        assert parents == {root.context.span_id}
        assert len({span.context.span_id for span in spans}) == len(spans)
        about = attributes(root)
        assert about["nightpress.batch"] == traced.night.batch_id
        assert (about["nightpress.row"], about["nightpress.round"], about["nightpress.attempt"]) == (row, 1, 1)
        assert (about["nightpress.kind"], about["nightpress.lane"], about["nightpress.status"]) == (
            "chat",
            LANE,
            "completed",
        )
        assert about["gen_ai.request.model"] == LANE
        assert about["gen_ai.usage.output_tokens"] > 0
        assert root.status.status_code is StatusCode.UNSET
        for span in spans:
            assert span.start_time is not None
            assert span.end_time is not None
            assert span.start_time <= span.end_time
            assert attributes(span)["nightpress.row"] == row
        engine = [span for span in spans if span.name in ("slot wait", "prefill", "decode")]
        assert names(engine) == ["slot wait", "prefill", "decode"]
        assert all(one.end_time == other.start_time for one, other in pairwise(engine))
        assert attributes(engine[-1])["nightpress.prompt"] == "main"
    text = "".join(span.to_json() for span in traced.exporter.get_finished_spans())
    assert SECRET not in text
    assert "id-1" not in text


def test_each_attempt_has_its_spans_and_the_row_one(traced: Traced, until: Callable[..., Any]) -> None:
    traced.night.accept([{"kind": "chat", "prompt": "Say."}])
    traced.run(Scripted(once_out_of_memory()), until)
    spans = traced.spans(0)
    assert names(spans).count("row") == 1
    assert names(spans).count("queue wait") == 1, "when the second attempt became ready is not known"
    first, second = sorted(
        (span for span in spans if span.name == "generate"), key=lambda span: attributes(span)["nightpress.attempt"]
    )
    assert (attributes(first)["nightpress.attempt"], attributes(second)["nightpress.attempt"]) == (1, 2)
    assert attributes(first)["error.type"] == "out_of_memory"
    assert first.status.status_code is StatusCode.ERROR
    assert second.status.status_code is StatusCode.UNSET
    assert names(spans).count("flush") == 2


def test_a_row_that_fails_says_its_code(traced: Traced, until: Callable[..., Any]) -> None:
    traced.night.accept([{"kind": "chat", "prompt": "Say."}])
    traced.run(Scripted(fault("prompt_too_long", retryable=False)), until)
    (root,) = [span for span in traced.spans(0) if span.name == "row"]
    assert attributes(root)["error.type"] == "prompt_too_long"
    assert attributes(root)["nightpress.status"] == "failed"
    assert root.status.status_code is StatusCode.ERROR


def test_only_a_share_of_the_rows_is_traced(traced: Traced, until: Callable[..., Any]) -> None:
    batch = traced.night.accept(60)
    traced.run(StubEngine(), until, share=0.25)
    rows = {attributes(span)["nightpress.row"] for span in traced.exporter.get_finished_spans()}
    traces = RowTraces(InMemorySpanExporter(), 0.25, {}, at_once=True)
    lease = Lease(JobKey(batch.batch_id, 0), 1, 1, "w-i-1")
    chosen = {row for row in range(60) if traces.attempt(Job(replace(lease, key=JobKey(batch.batch_id, row)), b""))}
    assert rows == chosen
    assert 0 < len(rows) < 60


def test_publishing_stands_in_the_trace_of_each_row(traced: Traced, until: Callable[..., Any]) -> None:
    batch = traced.night.accept(3)
    done = traced.run(StubEngine(), until)
    traces = RowTraces(traced.exporter, 1.0, {}, at_once=True)  # of another process
    traces.published(batch, done, 0.5)
    for row in range(3):
        spans = traced.spans(row)
        (root,) = [span for span in spans if span.name == "row"]
        (publish,) = [span for span in spans if span.name == "publish"]
        assert publish.parent is not None
        assert publish.parent.span_id == root.context.span_id
        assert (publish.end_time or 0) - (publish.start_time or 0) == 500_000_000
        assert attributes(publish)["nightpress.row"] == row


class Stopped(InMemorySpanExporter):
    """A receiver that takes nothing."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return False


def test_publishing_stops_sending_where_nothing_is_taken(
    traced: Traced, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = traced.night.accept(3)
    done = traced.run(StubEngine(), until)
    monkeypatch.setattr("workers.monitoring.traces.CHUNK", 10)
    exporter = Stopped()
    traces = RowTraces(exporter, 1.0, {}, at_once=True)
    monkeypatch.setattr(traces._provider, "force_flush", lambda *_: False)
    traces.published(batch.model_copy(update={"rows": 1_000}), done, 0.5)
    assert len(exporter.get_finished_spans()) == 10


def test_rows_are_done_while_nobody_takes_their_spans(
    night: WorkerNight, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.monitoring.traces.CLOSE_S", 0.05)
    with running() as receiver:
        receiver.hangs = True
        traces = open_traces(TraceSettings(endpoint=receiver.url, share=1.0), {})
        assert traces is not None
        night.accept(100)
        engine = StubEngine()
        runner = Runner(replace(night.context(slots=64), traces=traces), engine)
        thread = threading.Thread(target=runner.run)
        thread.start()
        night.workers.append((runner, thread))
        assert night.until_published(until).counts["completed"] == 100
        assert not receiver.let_go.is_set()
        traces.close()
