"""Tests publishers as processes: several at once, one killed at each step, one against a cancellation, and a late attempt.

The publisher that creates `done-<round>.json` decides. The files of other publishers are removed, or nobody reads them.
"""

import json
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.published import verify
from jobs.batches.rounds import close, latest_done, reopen
from tests.faults.premises import EVEN, ROWS, Premises
from tests.faults.processes.each_step import EACH_STEP
from tests.faults.processes.races import race

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


def finish_unpublished(night: Premises, batch_id: str, rows: int = ROWS) -> None:
    """Wait until all rows have their outcomes and are settled; nobody publishes them."""
    night.work()
    night.at_least(batch_id, rows)
    night.until(lambda: night.lane().leased == 0, 90, "all to be settled")


@pytest.mark.smoke
def test_several_publishers_at_once(night: Premises) -> None:
    batch_id = night.submit(rows := 4 * ROWS, max_tokens=4)
    finish_unpublished(night, batch_id, rows)
    assert race(night, *[("publish", batch_id)] * 3) == [0, 0, 0]
    assert night.check(batch_id) == {"completed": rows}
    assert len(night.store.list(f"batches/{batch_id}/published")) == 1, "the other publishers removed their folders"


@pytest.mark.smoke
def test_a_publisher_killed_at_each_step(night: Premises) -> None:
    """Each time, the next publisher publishes the batch, and nobody reads the files of the killed publisher."""
    ids = [night.submit_lines([{"kind": "chat", "prompt": f"Say {n}.{i}"} for i in range(4)]) for n in range(60)]
    night.work()
    for batch_id in ids:
        night.at_least(batch_id, 4)
    night.until(lambda: night.lane().leased == 0, 90, "all to be settled")
    for n, batch_id in enumerate(ids):
        (night.folder / f"id-{n}").write_text(batch_id)
    code = EACH_STEP.replace("word.format(n=n)", "word.replace('{id}', open(f'id-{n}').read())")
    process = night.run_code(code, "publish", "{id}")
    assert process.wait(250) == 0, night.logs()
    kills = night.logged("killed ")
    assert 8 <= kills < len(ids)
    for batch_id in ids[: kills + 2]:
        assert night.check(batch_id) == {"completed": 4}
    assert all(latest_done(night.store, batch_id) is None for batch_id in ids[kills + 2 :])
    assert any(len(night.store.list(f"batches/{batch_id}/published")) == 2 for batch_id in ids), (
        "one publisher died with its folder half written"
    )


def test_a_cancellation_against_a_publisher(night: Premises) -> None:
    """The cancellation and the publisher start at once, on a batch whose rows all have outcomes. Whichever comes first, all
    rows are published as completed.
    """
    ids = [night.submit_lines([{"kind": "chat", "prompt": f"Say {n}.{i}"} for i in range(8)]) for n in range(4)]
    night.work()
    for batch_id in ids:
        night.at_least(batch_id, 8)
    for batch_id in ids:
        _, published = race(night, ("cancel", batch_id), ("publish", batch_id))
        assert published == 0
        assert night.check(batch_id) == {"completed": 8}, "existing outcomes are kept either way"


def test_a_cancellation_against_publishers_of_a_half_done_batch(night: Premises) -> None:
    """The worker is dead. `publish` alone cannot finish the batch. Once the batch is cancelled, the missing rows are published
    as cancelled.
    """
    batch_id = night.submit()
    worker = night.work()
    night.at_least(batch_id, ROWS // 4)
    worker.kill()
    worker.wait()
    assert race(night, ("publish", batch_id), ("cancel", batch_id), ("publish", batch_id))[1] == 0
    night.work()  # a worker must find the leases of the dead one when they run out
    counts = night.finish(batch_id)
    assert set(counts) == {"completed", "cancelled"}
    assert counts["completed"] >= ROWS // 4


def test_a_late_first_attempt_completes_a_reopened_row(make_night: Callable[..., Premises]) -> None:
    """A worker stands still with all rows in hand while its batch is cancelled, published and reopened.

    Redis is away when the worker continues, so it cannot learn that its leases are gone: it writes outcomes of round 1, which
    complete rows of round 2. Each row is published and charged once, even if another worker completes it too.
    """
    night = make_night(stub={"step_s": 0.05})
    rows = 8
    batch_id = night.submit(rows, max_tokens=100, **EVEN)
    sleeper = night.work()
    night.leased(rows)
    sleeper.send_signal(signal.SIGSTOP)
    assert night.outcomes(batch_id) == 0
    close(night.store, batch_id, "cancelled")
    published = night.command("publish", batch_id)
    assert published.returncode == 1, published.stderr
    assert verify(night.store, batch_id) == []
    first = latest_done(night.store, batch_id)
    assert first is not None
    assert first.counts["cancelled"] == rows
    reopen(night.store, batch_id)
    night.server.kill()
    sleeper.send_signal(signal.SIGCONT)
    night.until(lambda: night.lines(batch_id), 120, "the late attempt to be written")
    assert night.outcomes(batch_id) > 0, "in round 2, which nobody else has worked on"
    night.server.start()
    night.configure(stub={})
    night.work()
    assert night.finish(batch_id) == {"completed": rows}
    done = latest_done(night.store, batch_id)
    assert done is not None
    assert done.round == 2
    late = Counter(line.row for line in night.lines(batch_id) if line.round == 1 and line.status == "completed")
    assert late, "an attempt of round 1 completed after round 1 was published"
    usage = json.loads(night.store.read(f"{BatchPaths(batch_id).root}/{done.folder}/usage.json"))
    assert usage["rows"] == rows
