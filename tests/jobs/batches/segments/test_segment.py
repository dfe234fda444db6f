"""Shows jobs/batches/segments/segment.py: what is written is read back, heads are enough for an index, and damage is noticed."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from itertools import starmap

import orjson
import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.output_rows import error_row, output_row
from jobs.batches.segments import segment
from jobs.batches.segments.head import HeadRow, read_heads
from jobs.batches.segments.line import EVERY_ROUND, LINE_END, Outcome, parse_line, to_line
from jobs.errors import StoreTooNew, StoreUnavailable
from jobs.store.store import Store
from jobs.usage import Usage
from tests.support.outcomes import finding

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
FIT = replace(COMPLETED, row=6, verdict="fit")
REVIEW = replace(COMPLETED, row=7, verdict="review", findings=[finding(where={"field": "text", "start": 0, "end": 5})])
BROKEN = replace(
    COMPLETED,
    row=8,
    status="failed",
    output=None,
    error={"code": "gap", "message": "a gap"},
    findings=[finding(severity="fail", tries=3), finding("doubled_word")],
    rejected={"text": "Dear [Name]"},
)
JUDGED = (FIT, REVIEW, BROKEN, replace(BROKEN, row=9, final=False))
ALL = (COMPLETED, RETRIED, CRASHED, ALONE, REFUSED)


def test_outcomes_are_read_back_as_they_were(store: Store) -> None:
    name = segment.write(store, PATHS, ALL, "w-1", "a", 12)
    assert tuple(segment.read_outcomes(store, PATHS.segment(name))) == ALL


def test_what_the_checks_said_is_read_back_and_published(store: Store) -> None:
    path = PATHS.segment(segment.write(store, PATHS, JUDGED, "w-1", "a", 1))
    assert tuple(segment.read_outcomes(store, path)) == JUDGED
    fit, review, broken = (orjson.loads(to_line("night-1", one)[0])["published"] for one in JUDGED[:3])
    assert (fit["verdict"], "findings" in fit, "rejected" in fit) == ("fit", False, False)
    assert (review["verdict"], review["findings"]) == ("review", REVIEW.findings)
    assert ("verdict" in broken, broken["findings"], broken["rejected"]) == (False, BROKEN.findings, BROKEN.rejected)
    assert "params" not in fit, "what the checks said is no part of the receipt"
    (head,) = read_heads(store, path)
    assert [(account.status, account.verdict) for account in head.accounts] == [
        ("completed", "fit"),
        ("completed", "review"),
        ("failed", ""),
    ]


def test_heads_of_releases_without_verdicts_are_read(store: Store) -> None:
    """Such a head has seven fields for each account: all but the currency and the verdict."""
    first, _, rest = segment.encode("night-1", (COMPLETED, REFUSED), "w", "a", 1)[1].partition(b"\n")
    values = orjson.loads(first)
    values |= {"accounts": [account[:7] for account in values["accounts"]], "currency": "EUR"}
    data = orjson.dumps(values) + b"\n" + rest
    path = PATHS.segment(f"w-a-1-{hashlib.sha256(data).hexdigest()}.jsonl")
    store.create(path, data)
    (head,) = read_heads(store, path)
    assert head.accounts == [
        ("completed", "stub", None, "acme", "chat", "a" * 12, "", "EUR", "", ""),
        ("failed", "", None, "", "", "", "not_json", "EUR", "", ""),
    ]
    assert tuple(segment.read_outcomes(store, path)) == (COMPLETED, REFUSED)


@pytest.mark.parametrize("fields", [6, 9])
def test_an_account_with_another_number_of_fields_is_damage(store: Store, fields: int) -> None:
    first, _, rest = segment.encode("night-1", (FIT,), "w", "a", 1)[1].partition(b"\n")
    values = orjson.loads(first)
    values["accounts"] = [[*account, "", ""][:fields] for account in values["accounts"]]
    data = orjson.dumps(values) + b"\n" + rest
    path = PATHS.segment(f"w-a-1-{hashlib.sha256(data).hexdigest()}.jsonl")
    store.create(path, data)
    with pytest.raises(StoreUnavailable, match="damaged"):
        read_heads(store, path)


def test_a_name_holds_worker_incarnation_number_and_hash() -> None:
    name, data = segment.encode("night-1", ALL, "w-1", "a", 12)
    assert name == f"w-1-a-12-{hashlib.sha256(data).hexdigest()}.jsonl"


def test_the_head_indexes_every_line_and_adds_up_what_they_cost(store: Store) -> None:
    name = segment.write(store, PATHS, ALL, "w", "a", 1)
    (head,) = read_heads(store, PATHS.segment(name))
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
    assert orjson.loads(first)["format"] == 1


def test_a_head_names_the_currency_of_all_its_accounts(store: Store) -> None:
    priced = replace(COMPLETED, receipt={**COMPLETED.receipt, "currency": "EUR"})
    name = segment.write(store, PATHS, (CRASHED, priced, REFUSED), "w", "a", 1)
    (head,) = read_heads(store, PATHS.segment(name))
    assert (head.currency, {account.currency for account in head.accounts}) == ("EUR", {"EUR"})
    assert tuple(segment.read_outcomes(store, PATHS.segment(name))) == (CRASHED, priced, REFUSED)
    unpriced = segment.write(store, PATHS, ALL, "w", "a", 2)
    assert read_heads(store, PATHS.segment(unpriced))[0].currency is None


def test_a_head_longer_than_the_first_read(store: Store) -> None:
    outcomes = [replace(CRASHED, row=row) for row in range(20_000)]
    name = segment.write(store, PATHS, outcomes, "w", "a", 1)
    (head,) = read_heads(store, PATHS.segment(name))
    assert [row.row for row in head.rows] == list(range(20_000))
    assert sum(1 for _ in segment.read_outcomes(store, PATHS.segment(name))) == 20_000


def test_written_twice_it_is_the_same_segment(store: Store) -> None:
    assert segment.write(store, PATHS, ALL, "w", "a", 1) == segment.write(store, PATHS, ALL, "w", "a", 1)
    assert len(store.list(PATHS.segments)) == 1


def test_unknown_fields_of_a_line_are_ignored() -> None:
    line = orjson.dumps({**orjson.loads(orjson.dumps(COMPLETED)), "mood": "good"})
    assert parse_line(line) == COMPLETED


def test_a_line_that_may_win_holds_the_published_row(store: Store) -> None:
    path = PATHS.segment(segment.write(store, PATHS, ALL, "w", "a", 1))
    (read,) = segment.read_segments(store, path)
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
        ("completed", "stub", None, "acme", "chat", "a" * 12, "", None, "", ""),
        ("failed", "", None, "", "", "", "not_json", None, "", ""),
    ]
    assert read.head.spent == {"stub": [22, 4, 12, 2200, 44, 66], "": [0] * 6}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(segment.encode("night-1", ALL, "w", "a", 1)[1].replace(b"Gr", b"gr"), id="other bytes"),
        pytest.param(segment.encode("night-1", ALL, "w", "a", 1)[1][:-40], id="cut short"),
        pytest.param(segment.encode("night-1", ALL, "w", "a", 1)[1] + b"{}\n", id="too long"),
        pytest.param(b"{}\n", id="no index"),
        pytest.param(b'{"format":"1","segments":[]}\n', id="a format that is no number"),
        pytest.param(b"not json\n", id="not JSON"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_damaged_segment_is_noticed(store: Store, data: bytes) -> None:
    path = PATHS.segment(segment.encode("night-1", ALL, "w", "a", 1)[0])
    store.create(path, data)
    with pytest.raises(StoreUnavailable, match="damaged"):
        segment.read_segments(store, path)
    if b'"rows"' not in data:
        with pytest.raises(StoreUnavailable, match="damaged"):
            read_heads(store, path)


@pytest.mark.parametrize("read", [segment.read_segments, read_heads])
def test_a_segment_of_a_newer_release_is_refused(store: Store, read: Callable[[Store, str], object]) -> None:
    data = segment.encode("night-1", ALL, "w", "a", 1)[1].replace(b'"format":1', b'"format":2')
    path = PATHS.segment(f"w-a-1-{hashlib.sha256(data).hexdigest()}.jsonl")
    store.create(path, data)
    with pytest.raises(StoreTooNew, match="written by a newer release, in format 2"):
        read(store, path)
