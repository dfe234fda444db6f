"""Tests the reports of commands when the storage is full, read-only, cut off, or was never there.

`run` and `work` print one line when the storage goes away and one line when it is back. They continue by themselves, with the
right exit status and no traceback. A storage that was never there is reported at once, with status 3.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.batches.published import verify
from tests.conftest import BUCKET, free_port
from tests.faults.premises import Premises
from tests.faults.reports import ROWS, SLOW, START_S, reports_of_command, some_segments, write_rows
from tests.faults.storage.storage_faults import Proxy, small_disk

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(600)]


@dataclass
class Outage:
    """A store, the functions that take it away and bring it back, and a part of the line that reports it."""

    url: str
    options: dict[str, str]
    goes: Callable[[], None]
    comes: Callable[[], None]
    line: str


@pytest.fixture
def proxy(s3_options: dict[str, str]) -> Iterator[Proxy]:
    """A proxy in front of the S3 server."""
    made = Proxy.before(s3_options["endpoint_url"])
    yield made
    made.close()


@pytest.fixture(params=["full", "read-only", "cut"])
def outage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outage]:
    if request.param != "cut":
        with small_disk(tmp_path / "disk", 8) as disk:
            url = str(disk.folder / "store")
            if request.param == "full":
                yield Outage(url, {}, disk.fill, disk.clear, "No space left on device")
            else:
                yield Outage(url, {}, disk.read_only, disk.writable, "Read-only file system")
        return
    options, proxy = request.getfixturevalue("s3_options"), request.getfixturevalue("proxy")
    url = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    yield Outage(url, {**options, "endpoint_url": proxy.url}, proxy.cut, proxy.heal, "Check the service")


@pytest.mark.parametrize("command", ["run", "work"])
def test_an_outage_is_reported_once_and_the_command_continues(
    outage: Outage, command: str, make_night: Callable[..., Premises]
) -> None:
    night = make_night(store_url=outage.url, store_options=outage.options, stub=SLOW)
    night.env["NIGHTPRESS_RAY_ADDRESS"] = "local"
    write_rows(night)
    if command == "run":
        process = night.start("run", "rows.jsonl", "--out", "out", "--workers", "1")
    else:
        assert night.command("enqueue", "rows.jsonl").returncode == 0
        process = night.start("work", "--workers", "1", "--until-empty")
    night.until(lambda: some_segments(night), START_S, f"some rows: {night.logs()}")
    outage.goes()
    night.until(lambda: reports_of_command(night), 150, f"the command to report it: {night.logs()}")
    assert process.poll() is None
    outage.comes()
    assert process.wait(START_S) == 0, night.logs()
    went, back = reports_of_command(night)
    assert outage.line in went
    assert "Waiting for it; it goes on by itself when the storage is back" in went
    assert "the storage is back; going on" in back
    (batch_id,) = night.store.list("batches")
    assert verify(night.store, batch_id) == []
    assert night.check(batch_id) == {"completed": ROWS}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("enqueue", "rows.jsonl"), id="enqueue"),
        pytest.param(("run", "rows.jsonl"), id="run"),
        pytest.param(("status",), id="status"),
        pytest.param(("wait", "rows"), id="wait"),
        pytest.param(("results", "rows"), id="results"),
    ],
)
def test_a_storage_that_was_never_there_is_reported_in_one_line_with_status_3(
    words: tuple[str, ...], make_night: Callable[..., Premises]
) -> None:
    options = {"endpoint_url": f"http://127.0.0.1:{free_port()}", "key": "test", "secret": "test"}
    night = make_night(store_url=f"s3://{BUCKET}/none", store_options=options)
    write_rows(night)
    tried = night.command(*words)
    assert (tried.returncode, tried.stdout) == (3, ""), tried.stderr
    assert len(tried.stderr.splitlines()) == 1, tried.stderr
    assert "Check the service, the bucket and the credentials" in tried.stderr


def test_a_fleet_that_starts_before_its_storage_is_there(
    proxy: Proxy, s3_options: dict[str, str], make_night: Callable[..., Premises]
) -> None:
    url, options = f"s3://{BUCKET}/{uuid.uuid4().hex}", {**s3_options, "endpoint_url": proxy.url}
    night = make_night(store_url=url, store_options=options)
    night.env["NIGHTPRESS_RAY_ADDRESS"] = "local"
    write_rows(night)
    assert night.command("enqueue", "rows.jsonl").returncode == 0
    proxy.cut()
    process = night.start("work", "--workers", "1", "--until-empty")
    night.until(lambda: reports_of_command(night), START_S, f"the command to report it: {night.logs()}")
    proxy.heal()
    assert process.wait(START_S) == 0, night.logs()
    assert len(reports_of_command(night)) == 2
    (batch_id,) = night.store.list("batches")
    assert night.check(batch_id) == {"completed": ROWS}
