"""Tests damaged records in Redis, damaged requests in storage, and requests and completions of the largest size.

Redis is never the truth, so a damaged record there costs only time. A row whose request is damaged in storage fails with
`bad_record`, and harms no other row.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import latest_done
from jobs.errors import StoreDamaged
from jobs.lanes.feed import Feeder
from tests.faults.premises import LANE, ROWS, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
MIB = 1 << 20


def finish_beside_damage(night: Premises, other: str) -> None:
    """Wait until `other` is published, and check it. Meanwhile, each sweep may raise an error about the damaged batch."""

    def published() -> bool:
        with contextlib.suppress(StoreDamaged):
            night.sweep()
        return latest_done(night.store, other) is not None

    night.until(published, 60, f"the other batch to be published: {night.logs()}")
    assert night.check(other) == {"completed": ROWS}


GARBAGE = [
    pytest.param(b"\xff\x00 not a record", id="not JSON"),
    pytest.param(b"[]", id="empty"),
    pytest.param(b'["l","x",null,{},3,7,[],1,"much"]', id="wrong types"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_records_of_leased_jobs_are_damaged(make_night: Callable[..., Premises], garbage: bytes) -> None:
    night = make_night(stub={"step_s": 0.02})
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 5)
    leased = night.until(lambda: night.client.hkeys(night.key("jobs")), 60, "leased jobs")
    for job in leased[:3]:
        night.client.hset(night.key("jobs"), job, garbage)
    night.at_work(batch_id)
    assert night.finish(batch_id) == {"completed": ROWS}


@pytest.mark.smoke
def test_every_record_of_the_lane_is_damaged(make_night: Callable[..., Premises]) -> None:
    """All records of jobs, of their requests and of the batch are damaged."""
    night = make_night(stub={"step_s": 0.02})
    batch_id = night.submit()
    night.work()
    night.at_least(batch_id, ROWS // 5)
    damaged = 0
    for name in ("jobs", "payload", "batches"):
        for field in night.client.hkeys(night.key(name)):
            damaged += 1
            night.client.hset(night.key(name), field, b"\x00torn")
    assert damaged > ROWS // 4
    assert night.finish(batch_id) == {"completed": ROWS}


def test_requests_on_the_queue_are_damaged_behind_their_heads(make_night: Callable[..., Premises]) -> None:
    """Jobs with damaged requests are claimed like any others, and their requests are read from storage. All are damaged before
    a worker starts.
    """
    night = make_night()
    batch_id = night.submit()
    batches = OpenBatches(night.store)
    batches.scan()
    Feeder(night.store, night.queue, batches, night.settings).top_up(LANE)
    payloads: Any = night.client.hgetall(night.key("payload"))
    assert len(payloads) == ROWS
    for job, raw in payloads.items():
        head, sign, _ = raw.partition(b"=")
        assert sign
        night.client.hset(night.key("payload"), job, head + sign + b"?" * 20)
    night.work()
    assert night.finish(batch_id) == {"completed": ROWS}


def torn(line: bytes) -> bytes:
    """The line with its bytes replaced, so that it is no JSON any more."""
    return b"\xff" * (len(line) - 1) + b"\n"


def altered(line: bytes) -> bytes:
    """The line with another prompt: a valid request, but not the one that was accepted."""
    return line.replace(b'"prompt":"Say', b'"prompt":"Pay')


@pytest.mark.parametrize(
    "into", [pytest.param(torn, id="torn"), pytest.param(altered, id="altered", marks=pytest.mark.smoke)]
)
@pytest.mark.parametrize("inline", [pytest.param(True, id="inline"), pytest.param(False, id="by their place")])
def test_stored_requests_are_damaged(
    make_night: Callable[..., Premises], into: Callable[[bytes], bytes], inline: bool
) -> None:
    """Two lines are damaged before they are fed; they lie beyond the window of 16 rows. Only these two rows fail, with
    `bad_record`.
    """
    night = make_night(more={"window_rows": 16, "inline_bytes": 16384 if inline else 0})
    batch_id = night.submit()
    path = Path(night.store_url) / BatchPaths(batch_id).input(LANE)
    lines = path.read_bytes().splitlines(keepends=True)
    bad = {ROWS // 2, ROWS - 2}
    path.write_bytes(b"".join(into(line) if n in bad else line for n, line in enumerate(lines)))
    worker = night.work()
    assert night.finish(batch_id) == {"completed": ROWS - len(bad), "failed": len(bad)}
    assert worker.poll() is None, "no worker died because of it"
    assert night.codes(batch_id) == dict.fromkeys(bad, "bad_record")
    shown = night.command("show", batch_id, str(ROWS // 2))
    assert shown.returncode == 0, shown.stderr
    assert "bad_record" in shown.stdout


@pytest.mark.parametrize("inline", [pytest.param(True, id="inline"), pytest.param(False, id="by their place")])
def test_a_line_end_and_the_tail_of_the_stored_input_are_lost(
    make_night: Callable[..., Premises], inline: bool
) -> None:
    """In the input, two lines become one line, and the last three lines are missing. Exactly these five rows fail."""
    night = make_night(more={"window_rows": 16, "inline_bytes": 16384 if inline else 0})
    batch_id = night.submit()
    path = Path(night.store_url) / BatchPaths(batch_id).input(LANE)
    lines = path.read_bytes().splitlines(keepends=True)
    joined = [line[:-1] + b" " if n == ROWS // 2 else line for n, line in enumerate(lines[:-3])]
    path.write_bytes(b"".join(joined))
    night.work()
    lost = {ROWS // 2, ROWS // 2 + 1, ROWS - 3, ROWS - 2, ROWS - 1}
    assert night.finish(batch_id) == {"completed": ROWS - len(lost), "failed": len(lost)}
    assert night.codes(batch_id) == dict.fromkeys(lost, "bad_record")


@pytest.mark.parametrize("part", ["head", pytest.param("line", marks=pytest.mark.smoke), "input", "marker"])
def test_a_damaged_file_of_one_batch_holds_up_no_other(make_night: Callable[..., Premises], part: str) -> None:
    """A file of the first of two batches is damaged. The error names the file, and the batch is published once the file is
    restored.
    """
    night = make_night(more={"window_rows": 16})
    hurt = night.submit(ROWS)
    night.work()
    night.at_least(hurt, ROWS // 5)
    folder = Path(night.store_url) / BatchPaths(hurt).root
    name = {"input": f"input/{LANE}.jsonl", "marker": "closed-1.json"}.get(part)
    path = folder / name if name else min(folder.glob("segments/*.jsonl"))
    whole = path.read_bytes() if path.exists() else None
    if part == "input":
        path.unlink()
    else:
        place = {"head": 5, "marker": 0}.get(part, len(whole or b"") - 5)
        path.write_bytes((whole or b"")[:place] + b"\xff\xff" + (whole or b"")[place + 2 :])
    other = night.submit(ROWS, prompt="Tell {}.".format)
    night.work()
    finish_beside_damage(night, other)
    assert not night.store.exists(BatchPaths(hurt).done(1))
    if part == "input":  # only a feeder reads the input
        night.wait_for_log("Restore it from a backup")
    else:
        with pytest.raises(StoreDamaged, match="Restore it from a backup"):
            night.until(night.sweep, 20)
    if whole is None:
        path.unlink()
    else:
        path.write_bytes(whole)

    def looks_again() -> bool:
        with contextlib.suppress(StoreDamaged):
            night.sweep()
            return True
        return False

    night.until(looks_again, 90, "the next sweep of the restored batch")
    assert night.finish(hurt) == {"completed": ROWS}
    assert all(process.poll() is None for process in night.workers), "no worker died because of it"


def test_a_lost_input_in_front_of_all_others_holds_up_none(make_night: Callable[..., Premises]) -> None:
    """The rows of the lost input are first on the queue, which holds only their places in the input. They cost no attempt, and
    run once the input is restored.
    """
    night = make_night(more={"inline_bytes": 0, "rows_may_set": ["priority"]})
    night.work()
    night.queue.pause(LANE)
    hurt = night.submit(priority=9)
    batches = OpenBatches(night.store)
    batches.scan()
    assert Feeder(night.store, night.queue, batches, night.settings).top_up(LANE) == ROWS
    path = Path(night.store_url) / BatchPaths(hurt).input(LANE)
    whole = path.read_bytes()
    path.unlink()
    other = night.submit(prompt="Tell {}.".format)
    night.queue.resume(LANE)
    finish_beside_damage(night, other)
    assert night.live(hurt) == night.outcomes(hurt) == 0
    path.write_bytes(whole)
    assert night.finish(hurt) == {"completed": ROWS}
    assert {row["attempt"] for row in night.outputs(hurt).values()} == {1}
    assert {line.status for line in night.lines(hurt)} == {"completed"}


def test_a_request_of_1_mib_and_a_completion_of_10(make_night: Callable[..., Premises]) -> None:
    """A request of nearly 1 MiB stands among small ones, and one completion is larger than a segment should be."""
    night = make_night(stub={"faults": {"Say 7.": "flood"}, "slots": 8})
    turn = "word " * 100_000
    messages = [{"role": "user", "content": turn}, {"role": "assistant", "content": turn[: MIB - 500_000 - 2000]}]
    large = {"kind": "chat", "messages": [*messages, {"role": "user", "content": "Go on."}]}
    batch_id = night.submit_lines([large, *({"kind": "chat", "prompt": f"Say {n}."} for n in range(1, 12))])
    with (Path(night.store_url) / BatchPaths(batch_id).input(LANE)).open("rb") as file:
        assert 0.95 * MIB < max(map(len, file)) < 1.01 * MIB
    night.work()
    assert night.finish(batch_id) == {"completed": 12}
    outputs = night.outputs(batch_id)
    assert len(outputs[7]["output"]["text"]) == 10 * MIB
    assert max(len(row["output"]["text"]) for n, row in outputs.items() if n != 7) < 5000
