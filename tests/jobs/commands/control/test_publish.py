"""Shows `publish` of jobs/commands/control.py."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from jobs.batches.rounds import close
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_publish_says_what_is_missing(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=3)
    shelf.write("night-1", [shelf.completed(1)])
    ran = nightpress("publish", "night-1")
    assert (ran.status, ran.out) == (1, "")
    assert "2 of 3 rows have no outcome yet: 0, 2" in ran.err
    shelf.write("night-1", [shelf.completed(0), shelf.completed(2)])
    ran = nightpress("publish", "night-1")
    assert ran.status == 0
    assert "round 1 is published, 3 completed" in ran.err


def test_publish_takes_the_outputs_of_its_batch_alone_to_their_url(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    """The URL of another batch may be a path on another machine, where that machine's own fleet writes the outputs."""
    batches = []
    for n in range(2):
        (tmp_path / f"{n}.jsonl").write_bytes(orjson.dumps({"kind": "chat", "prompt": "Hi", "model": "stub"}))
        ran = nightpress("enqueue", f"{n}.jsonl", "--output-url", f"out/{n}/")
        batches.append(ran.out.strip())
        close(shelf.store, batches[-1], "cancelled")
    shelf.publish(batches[0])
    assert nightpress("publish", batches[1]).status == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]
    assert shelf.store.list("undelivered") == [batches[0]]


@pytest.mark.parametrize(
    ("verdicts", "args", "setting", "status"),
    [
        pytest.param(("fit", "fit"), [], None, 0, id="all fit"),
        pytest.param(("fit", None), [], None, 0, id="one was not checked"),
        pytest.param(("fit", "review"), [], None, 1, id="one for review"),
        pytest.param(("fit", "review"), ["--accept-review"], None, 0, id="one for review, accepted"),
        pytest.param(("fit", "review"), [], "true", 0, id="one for review, accepted by the settings"),
        pytest.param(("fit", "failed"), ["--accept-review"], "true", 1, id="one failed"),
        pytest.param(("review", "failed"), ["--accept-review"], None, 1, id="one failed beside one for review"),
    ],
)
def test_publish_ends_well_only_if_all_rows_can_be_published(
    nightpress: Callable[..., Ran],
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    verdicts: tuple[str | None, ...],
    args: list[str],
    setting: str | None,
    status: int,
) -> None:
    if setting is not None:
        monkeypatch.setenv("NIGHTPRESS_ACCEPT_REVIEW", setting)
    shelf.accept(rows=2)
    made = [
        shelf.failed(row) if verdict == "failed" else shelf.completed(row, verdict=verdict)
        for row, verdict in enumerate(verdicts)
    ]
    shelf.write("night-1", made)
    ran = nightpress("publish", "night-1", *args)
    assert (ran.status, ran.out) == (status, "")
    named = {verdict: verdicts.count(verdict) for verdict in ("fit", "review") if verdict in verdicts}
    words = ", ".join(f"{rows} {'to review' if name == 'review' else name}" for name, rows in named.items())
    assert f"{len(verdicts) - verdicts.count('failed')} completed ({words})" in ran.err


def test_the_texts_of_a_published_round_are_audited_and_the_status_says_how_alike_they_are(
    nightpress: Callable[..., Ran], shelf: Shelf
) -> None:
    same = "The old bakery at the corner of the market square opens on Sundays from now on"
    shelf.accept(rows=4)
    shelf.write("night-1", [shelf.completed(row, output={"text": same if row else "Another"}) for row in range(4)])
    assert nightpress("publish", "night-1").status == 0
    assert shelf.store.list("unaudited") == []
    shown = nightpress("status", "night-1").out
    assert "alike: chat of default: 50.0% of 4 rows repeat others" in " ".join(shown.split())
    assert "near_duplicate, 3 rows: c1, c2, c3: The old bakery" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
    (one,) = orjson.loads(nightpress("status", "night-1", "--json").out)["batches"]
    assert one["audit"]["figures"][0]["collapse"] == 0.5
    assert one["audit"]["clusters"][0]["row_numbers"] == [1, 2, 3]
    listed = nightpress("status").out
    assert "night-1: its texts are too much alike (collapse): 50.0% of its rows repeat" in listed
    (one,) = orjson.loads(nightpress("status", "--json").out)["batches"]
    assert (one["audit"]["figures"][0]["collapse"], one["audit"]["clusters"]) == (0.5, [])
