"""Shows jobs/batches/segments/segment.py: what is written is read back, heads are enough for an index, and damage is noticed."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import starmap

import orjson
import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.output_rows import error_row, output_row
from jobs.batches.segments import segment
from jobs.batches.segments.line import LINE_END
from jobs.batches.segments.segment import EVERY_ROUND, HeadRow, Outcome
from jobs.errors import StoreUnavailable
from jobs.store.store import Store
from jobs.usage import Usage, total

PATHS = BatchPaths("night-1")
COMPLETED = Outcome(
    row=3,
    round=1,
    fence=7,
    claim_id="claim",
    status="completed",
    final=True,
    kind="chat",
    custom_id="c3",
    attempt=2,
    output={"text": "Grüße"},
    usage=Usage(10, 2, 5, 1000, 20, 30),
    wasted=Usage(1, 0, 1, 100, 2, 3),
    model="stub",
    tenant="acme",
    metadata={"page": 9},
    receipt={"worker": "w", "templates": {"main": "a" * 64, "more": "b" * 64}},
)
RETRIED = replace(
    COMPLETED, row=4, status="failed", final=False, output=None, error={"code": "generation_failed", "message": "no"}
)
CRASHED = Outcome(row=4, round=2, fence=8, claim_id="other", status="crashed", final=False, kind="")
REFUSED = Outcome(5, EVERY_ROUND, 0, "", "failed", True, "", error={"code": "not_json", "message": "no", "line": 6})
ALONE = replace(CRASHED, fence=9, solo=True)
ALL = (COMPLETED, RETRIED, CRASHED, ALONE, REFUSED)


def test_outcomes_are_read_back_as_they_were(store: Store) -> None:
    name = segment.write(store, PATHS, ALL, "w-1", "a", 12)
    assert tuple(segment.read_outcomes(store, PATHS.segment(name))) == ALL


def test_the_name_tells_the_worker_its_life_the_number_and_the_hash() -> None:
    name, data = segment.encode("night-1", ALL, "w-1", "a", 12)
    assert name == f"w-1-a-12-{hashlib.sha256(data).hexdigest()}.jsonl"


def test_the_head_indexes_every_line_and_adds_up_what_they_cost(store: Store) -> None:
    name = segment.write(store, PATHS, ALL, "w", "a", 1)
    (head,) = segment.read_heads(store, PATHS.segment(name))
    assert head.rows == list(
        starmap(
            HeadRow,
            [
                (3, "c", True, 1, 7),
                (4, "f", False, 1, 7),
                (4, "x", False, 2, 8),
                (4, "s", False, 2, 9),
                (5, "f", True, 0, 0),
            ],
        )
    )
    assert head.usage == COMPLETED.usage
    assert head.wasted == COMPLETED.wasted + RETRIED.usage + RETRIED.wasted
    first, _, rest = store.read(PATHS.segment(name)).partition(b"\n")
    assert head.bytes == len(rest)
    assert orjson.loads(first)["format"] == 2


def test_the_currency_stands_beside_the_accounts(store: Store) -> None:
    """All amounts of a segment are in one currency."""
    priced = replace(COMPLETED, receipt={**COMPLETED.receipt, "currency": "EUR"})
    name = segment.write(store, PATHS, (CRASHED, priced, REFUSED), "w", "a", 1)
    (head,) = segment.read_heads(store, PATHS.segment(name))
    assert (head.currency, {account.currency for account in head.accounts}) == ("EUR", {"EUR"})
    assert {
        len(account) for account in orjson.loads(store.read(PATHS.segment(name)).partition(b"\n")[0])["accounts"]
    } == {6}
    assert tuple(segment.read_outcomes(store, PATHS.segment(name))) == (CRASHED, priced, REFUSED)
    before = segment.write(store, PATHS, ALL, "w", "a", 2)
    assert segment.read_heads(store, PATHS.segment(before))[0].currency is None


def test_a_head_longer_than_the_first_read(store: Store) -> None:
    outcomes = [replace(CRASHED, row=row) for row in range(20_000)]
    name = segment.write(store, PATHS, outcomes, "w", "a", 1)
    (head,) = segment.read_heads(store, PATHS.segment(name))
    assert [row.row for row in head.rows] == list(range(20_000))
    assert sum(1 for _ in segment.read_outcomes(store, PATHS.segment(name))) == 20_000


def test_written_twice_it_is_the_same_segment(store: Store) -> None:
    assert segment.write(store, PATHS, ALL, "w", "a", 1) == segment.write(store, PATHS, ALL, "w", "a", 1)
    assert len(store.list(PATHS.segments)) == 1


def test_fields_of_a_newer_release_are_passed_over() -> None:
    line = orjson.dumps({**orjson.loads(orjson.dumps(COMPLETED)), "mood": "good"})
    assert segment.parse(line) == COMPLETED


def of_format_1(outcomes: Sequence[Outcome]) -> tuple[str, bytes]:
    """A segment as it was written before its lines held the published rows."""
    dicts = [{k: v for k, v in asdict(outcome).items() if v is not None} for outcome in outcomes]
    lines = b"".join(orjson.dumps(values) + b"\n" for values in dicts)
    letters = {"completed": "c", "failed": "f", "crashed": "x"}
    head = {
        "format": 1,
        "rows": [[o.row, "s" if o.solo else letters[o.status], int(o.final), o.round, o.fence] for o in outcomes],
        "usage": total(o.usage for o in outcomes if o.status == "completed").as_dict(),
        "wasted": total(
            [*(o.usage for o in outcomes if o.status != "completed"), *(o.wasted for o in outcomes)]
        ).as_dict(),
        "bytes": len(lines),
    }
    data = orjson.dumps(head) + b"\n" + lines
    return f"w-a-1-{hashlib.sha256(data).hexdigest()}.jsonl", data


def test_a_segment_of_before_is_read_as_one_of_today(store: Store) -> None:
    name, data = of_format_1(ALL)
    path = PATHS.segment(name)
    store.create(path, data)
    assert tuple(segment.read_outcomes(store, path)) == ALL
    (before,) = segment.read_segments(store, path, "night-1")
    today = PATHS.segment(segment.write(store, PATHS, ALL, "w", "a", 2))
    (written,) = segment.read_segments(store, today, "night-1")
    assert (before.body, before.head) == (written.body, replace(written.head, name=name))
    (head,) = segment.read_heads(store, path)
    assert (head.rows, head.usage, head.wasted) == (written.head.rows, written.head.usage, written.head.wasted)


def test_a_line_that_may_win_holds_the_published_row(store: Store) -> None:
    path = PATHS.segment(segment.write(store, PATHS, ALL, "w", "a", 1))
    (read,) = segment.read_segments(store, path, "night-1")
    stops = itertools.accumulate(line[0] for line in read.head.lines)
    found = [
        orjson.loads(read.body[stop - LINE_END - line[1] : stop - LINE_END]) if len(line) > 1 else None
        for stop, line in zip(stops, read.head.lines, strict=True)
    ]
    completed, refused = (
        {k: v for k, v in orjson.loads(orjson.dumps(outcome)).items() if v is not None}
        for outcome in (COMPLETED, REFUSED)
    )
    assert found == [
        output_row("night-1", completed),
        None,
        None,
        None,
        error_row("night-1", refused),
    ]
    assert [list(line[2:]) for line in read.head.lines] == [[0, 10, 2, 5, 1000, 20, 30], [], [], [], [1] + [0] * 6]
    assert read.head.accounts == [
        ("completed", "stub", None, "acme", "chat", "a" * 12, None),
        ("failed", "", None, "", "", "", None),
    ]
    assert read.head.spent == {"stub": [22, 4, 12, 2200, 44, 66], "": [0] * 6}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(segment.encode("night-1", ALL, "w", "a", 1)[1].replace(b"Gr", b"gr"), id="other bytes"),
        pytest.param(segment.encode("night-1", ALL, "w", "a", 1)[1][:-40], id="cut short"),
        pytest.param(segment.encode("night-1", ALL, "w", "a", 1)[1] + b"{}\n", id="too long"),
        pytest.param(b"{}\n", id="no index"),
        pytest.param(b"not json\n", id="not JSON"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_damaged_segment_is_noticed(store: Store, data: bytes) -> None:
    path = PATHS.segment(segment.encode("night-1", ALL, "w", "a", 1)[0])
    store.create(path, data)
    with pytest.raises(StoreUnavailable, match="damaged"):
        segment.read_segments(store, path, "night-1")
    if b'"rows"' not in data:
        with pytest.raises(StoreUnavailable, match="damaged"):
            segment.read_heads(store, path)
