"""Shows workers/fleet/log_relay/relay.py: lines that workers log are passed on, each with its worker and node."""

import json
from collections.abc import Sequence

import pytest

from jobs import logs
from jobs.errors import UnavailableError
from tests.support.fake_cluster import FakeLog
from workers.fleet.log_relay.relay import Relay


@pytest.fixture(autouse=True)
def _json() -> None:
    logs.configure("info", "json")


def lines(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str, str]]:
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [(line["worker"], line.get("node", ""), line["event"], str(line.get("text", ""))) for line in found]


def test_lines_are_passed_on_while_the_worker_lives_and_after_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    relay, log = Relay(), FakeLog()
    relay.follow("w-1", log)
    log.next = [
        ("events", '{"node": "gpu-7"}'),
        ("events", '{"event": "worker.started", "level": "info"}'),
        ("stdout", "hello"),
    ]
    relay.poll()
    relay.poll()
    log.last = [("stderr", "Fatal: \x1b[31mgone\x1b[0m"), ("events", '{"event": "cut o')]
    relay.read_rest(relay.leave(log))
    relay.read_rest(relay.leave(log))
    assert lines(capsys) == [
        ("w-1", "gpu-7", "worker.started", ""),
        ("w-1", "gpu-7", "worker.printed", "hello"),
        ("w-1", "gpu-7", "worker.printed", "Fatal: gone"),
        ("w-1", "gpu-7", "worker.printed", '{"event": "cut o'),
    ]


class FarLog(FakeLog):
    def __init__(self, fault: UnavailableError | None) -> None:
        super().__init__(last=[("events", '{"event": "worker.stopped", "level": "info"}')], is_near=False)
        self.fault = fault

    def read_rest(self, timeout_s: float) -> Sequence[tuple[str, str]]:
        if self.fault is not None:
            raise self.fault
        return super().read_rest(timeout_s)


@pytest.mark.parametrize(
    ("fault", "event"), [(None, "worker.stopped"), (UnavailableError("its node does not answer"), "worker.log_lost")]
)
def test_the_last_lines_of_other_nodes_are_waited_for(
    fault: UnavailableError | None, event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    relay, log = Relay(), FarLog(fault)
    relay.follow("w-1", log)
    relay.read_rest(relay.leave(log))
    assert lines(capsys) == [("w-1", "", event, "")]


def test_a_person_at_a_terminal_sees_events_and_no_prints(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")
    relay, log = Relay(), FakeLog()
    relay.follow("w-1", log)
    log.next = [("stderr", "noise"), ("events", '{"event": "worker.started", "level": "info", "timestamp": "t"}')]
    relay.poll()
    printed = capsys.readouterr().err
    assert "worker.started" in printed
    assert "w-1" in printed
    assert "noise" not in printed
