"""Shows workers/monitoring/traces.py: spans come to a receiver of OTLP, and nobody waits for one. Off unless it is asked for."""

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `traces` is not installed")

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from structlog.testing import capture_logs

from jobs.errors import RequestError
from jobs.generation import Completion
from jobs.lanes.job import Job, JobKey, Lease
from jobs.settings import Settings, TraceSettings
from tests.support.traces.otlp import Receiver, running
from workers.commands.work import Work
from workers.monitoring.trace_ids import root_span_id, trace_id
from workers.monitoring.traces import RowTraces, open_traces
from workers.worker.worker import Worker, WorkerPlan


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running() as server:
        yield server


@pytest.mark.parametrize(
    ("path", "wanted"), [("", "/v1/traces"), ("/", "/v1/traces"), ("/otlp/v1/traces", "/otlp/v1/traces")]
)
def test_spans_come_to_a_receiver_of_otlp(receiver: Receiver, path: str, wanted: str) -> None:
    settings = TraceSettings(endpoint=receiver.url + path, share=1.0, headers={"Authorization": SecretStr("Bearer x")})
    traces = open_traces(settings, {"service.instance.id": "w-1", "host.name": "n-1"}, "lane-1")
    assert traces is not None
    trace = trace_id("a-1", 3, 1)
    traces.span(trace, "flush", 5_000, 7_000, {"nightpress.row": 3})
    traces.span(trace, "row", 1_000, 9_000, {"nightpress.row": 3}, code="empty_output", is_root=True)
    traces.close()
    (path, headers, request) = receiver.requests[0]
    assert path == wanted
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == "Bearer x"
    resource = {one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "nightpress"
    assert (resource["service.instance.id"], resource["host.name"]) == ("w-1", "n-1")
    flush, row = sorted(receiver.spans(), key=lambda span: str(span.name))
    assert flush.trace_id == row.trace_id == trace.to_bytes(16, "big")
    assert (flush.start_time_unix_nano, flush.end_time_unix_nano) == (5_000, 7_000)
    assert flush.parent_span_id == row.span_id == root_span_id(trace).to_bytes(8, "big")
    assert row.parent_span_id == b""
    assert row.status.message == "empty_output"


class Hanging(SpanExporter):
    """A receiver that does not answer until it is let go, or gives up after 20 s."""

    def __init__(self) -> None:
        self.asked, self.let_go, self.gave_up = threading.Event(), threading.Event(), False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.gave_up = not self.let_go.wait(20)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        pass


def test_the_end_of_a_process_does_not_wait_for_a_receiver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.monitoring.traces.CLOSE_S", 0.05)
    exporter = Hanging()
    traces = RowTraces(exporter, 1.0, {})
    traces.span(trace_id("a-1", 3, 1), "flush", 5_000, 7_000, {})
    traces.close()
    assert exporter.asked.wait(20)
    assert not exporter.gave_up, "it still hangs, and we have gone on"
    exporter.let_go.set()


def test_a_receiver_that_takes_nothing_is_named_once_and_so_is_its_return() -> None:
    """What the client itself would log, for each try of each worker, is left out."""
    with running() as receiver:
        traces = open_traces(TraceSettings(endpoint=receiver.url, share=1.0), {})
        assert traces is not None
        with capture_logs() as logs:
            for status in (400, 400, 200, 200):
                receiver.status = status
                traces.span(trace_id("a-1", 3, 1), "flush", 5_000, 7_000, {})
                traces._provider.force_flush()
    assert [(log["event"], log["endpoint"]) for log in logs] == [
        ("traces.lost", f"{receiver.url}/v1/traces"),
        ("traces.back", f"{receiver.url}/v1/traces"),
    ]
    assert not logging.getLogger("opentelemetry.exporter").isEnabledFor(logging.ERROR)


# -- off, and not installed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [TraceSettings(), TraceSettings(share=1.0), TraceSettings(endpoint="http://a:4318", share=0.0)]
)
def test_nothing_is_traced_unless_the_settings_ask_for_it(
    settings: TraceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert open_traces(settings, {}) is None


def test_a_command_without_opentelemetry_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    settings = Settings(store_url=str(tmp_path), model="stub", traces=TraceSettings(endpoint="http://a:4318"))
    with pytest.raises(RequestError, match=r"pip install 'nightpress\[traces\]' on every node"):
        Work(settings)


def test_a_worker_without_opentelemetry_does_its_rows_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    settings = Settings(store_url=str(tmp_path), model="stub", traces=TraceSettings(endpoint="http://a:4318"))
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    with capture_logs() as logs:
        assert worker._traces() is None
    assert [log["event"] for log in logs] == ["traces.unavailable"]


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        ("collector:4318", "is no URL"),
        ("grpc://collector:4317", "is no URL"),
        ("http://", "is no URL"),
        ("http://a:0", "is no URL"),
        ("http://a:99999", "is no URL"),
        ("http://[::1", "is no URL"),
        ("", "is no URL"),
        ("http://a\n", "control character"),
        ("http://user:secret@a", "give them in `headers`"),
    ],
)
def test_an_endpoint_that_is_no_receiver_is_refused(endpoint: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        TraceSettings(endpoint=endpoint)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_from_0_to_1(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        TraceSettings(share=share)


def test_times_of_engines_become_times_since_1970() -> None:
    traces = RowTraces(
        InMemorySpanExporter(), 1.0, {}, at_once=True, now_ns=lambda: 1_000_000, monotonic_ns=lambda: 5_000
    )
    assert 4_000 + traces.offset_ns() == 999_000


def test_an_answer_of_an_attempt_that_asked_for_nothing_is_passed_over() -> None:
    traces = RowTraces(InMemorySpanExporter(), 1.0, {}, at_once=True)
    attempt = traces.attempt(Job(Lease(JobKey("a-1", 0), 1, 1, "w-i-1"), b""))
    assert attempt is not None
    attempt.answered(Completion("unknown", "", "stop"))
    assert attempt._answered == []
