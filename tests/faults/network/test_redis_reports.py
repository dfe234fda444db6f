"""Tests the reports of `run` and `work` when Redis is full: one line when Redis fills up, and one line when it has room again."""

from collections.abc import Callable

import pytest

from tests.faults.premises import Premises
from tests.faults.reports import ROWS, SLOW, START_S, reports_of_command, some_segments, write_rows

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.mark.parametrize("command", ["run", "work"])
def test_a_full_redis_is_reported_once_and_the_command_continues(
    command: str, make_night: Callable[..., Premises]
) -> None:
    night = make_night(stub=SLOW, more={"window_rows": 16})
    write_rows(night)
    if command == "run":
        process = night.start("run", "rows.jsonl", "--out", "out", "--workers", "1")
    else:
        assert night.command("enqueue", "rows.jsonl").returncode == 0
        process = night.start("work", "--workers", "1", "--until-empty", NIGHTPRESS_RAY_ADDRESS="local")
    night.until(lambda: some_segments(night), START_S, f"some rows: {night.logs()}")
    night.client.config_set("maxmemory-policy", "noeviction")
    night.client.config_set("maxmemory", 1)
    night.until(lambda: reports_of_command(night, "queue"), 100, f"the command to report it: {night.logs()}")
    night.until(night.idle, 60, "the rows of the window to be finished")
    assert process.poll() is None
    night.client.config_set("maxmemory", 0)
    assert process.wait(START_S) == 0, night.logs()
    went, back = reports_of_command(night, "queue")
    assert "is full (maxmemory): give it more, or wait. Waiting for it" in went
    assert "Redis is back; going on" in back
    (batch_id,) = night.store.list("batches")
    assert night.check(batch_id) == {"completed": ROWS}
