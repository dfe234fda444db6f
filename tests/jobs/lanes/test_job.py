"""Shows jobs/lanes/job.py: a row on the queue, and the texts by which keys and claim ids are written."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.batches.request_row import RowRequest
from jobs.lanes.job import ClaimId, Job, JobKey, Lease
from jobs.store.checksum import with_checksum

TEXT = st.text()
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "custom_id": TEXT,
    "adapter": TEXT,
    "seed": st.integers(0, 2**63 - 1),
    "max_tokens": st.integers(1, 32_768),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1, exclude_min=True),
    "priority": st.integers(0, 9),
    "tenant": TEXT,
    "metadata": st.dictionaries(TEXT, st.none() | st.booleans() | TEXT | st.lists(st.integers(-(2**53), 2**53))),
    "cost": st.integers(0, 10**9),
}
REQUIRED: dict[str, st.SearchStrategy[Any]] = {
    "row": st.integers(0, 10**12),
    "line": st.integers(1, 10**12),
    "kind": TEXT,
    "model": TEXT,
    "request": st.dictionaries(TEXT, TEXT),
}
ROWS = st.fixed_dictionaries(REQUIRED, optional=OPTIONAL).map(lambda values: RowRequest(**values))


@given(ROWS)
def test_a_row_is_one_line_and_survives_it(row: RowRequest) -> None:
    line = row.to_line()
    assert line.count(b"\n") == 1
    assert RowRequest.from_bytes(line) == row


@given(ROWS, st.data())
def test_a_stored_line_of_which_a_byte_is_another_is_not_taken_for_another_row(row: RowRequest, data: Any) -> None:
    line = row.to_line()
    assert line.endswith(b"\n")
    assert RowRequest.from_bytes(line) == row
    place = data.draw(st.integers(0, len(line) - 2))
    other = data.draw(st.integers(0, 255))
    damaged = line[:place] + bytes([other]) + line[place + 1 :]
    try:
        assert RowRequest.from_bytes(damaged) == row
    except (ValueError, TypeError):
        return


def test_fields_that_are_none_are_left_out_and_empty_ones_are_not() -> None:
    line = RowRequest(row=0, line=1, kind="chat", model="stub", request={}, seed=0, metadata={}).to_bytes()
    written = orjson.loads(line)
    assert {"custom_id", "adapter", "max_tokens", "temperature", "top_p"}.isdisjoint(written)
    assert (written["seed"], written["metadata"], written["request"], written["row"]) == (0, {}, {}, 0)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"row":0', id="cut"),
        pytest.param(with_checksum(b"[1]"), id="not JSON but for its checksum"),
        pytest.param(with_checksum(b'{"row":0,"line":1}'), id="fields missing"),
        pytest.param(
            with_checksum(b'{"row":0,"line":1,"kind":"a","model":"b","request":{},"new":1}'), id="an unknown field"
        ),
        pytest.param(RowRequest(0, 1, "a", "b", {}).to_bytes(), id="no checksum"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(
            RowRequest(0, 1, "a", "b", {"x": 1}).to_line().replace(b'"x":1', b'"x":2'), id="other JSON than was written"
        ),
        pytest.param(
            orjson.dumps({"crc32": "00000000", **orjson.loads(RowRequest(0, 1, "a", "b", {}).to_bytes())}),
            id="a checksum in another place",
        ),
    ],
)
def test_what_is_no_row_is_not_read(line: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        RowRequest.from_bytes(line)


def test_overrides_are_the_sampling_params_that_the_row_itself_asks_for() -> None:
    row = RowRequest(row=0, line=1, kind="chat", model="stub", request={}, max_tokens=5, top_p=0.5, seed=3)
    assert row.overrides == {"max_tokens": 5, "temperature": None, "top_p": 0.5}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param(JobKey("night-1a2b", 0), "night-1a2b/0", id="a batch"),
        pytest.param(JobKey("a/b", 17), "a/b/17", id="a slash in the id"),
    ],
)
def test_a_key_is_written_and_read(key: JobKey, text: str) -> None:
    assert str(key) == text
    assert JobKey.parse(text) == key


@given(st.text(), st.integers(0))
def test_every_key_survives_its_written_form(batch_id: str, row: int) -> None:
    assert JobKey.parse(str(JobKey(batch_id, row))) == JobKey(batch_id, row)


@pytest.mark.parametrize("text", ["", "batch", "batch/", "batch/x"])
def test_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        JobKey.parse(text)


@pytest.mark.parametrize(
    ("claim_id", "text"),
    [
        pytest.param(ClaimId("w", "3f2a", 0), "w-3f2a-0", id="a worker"),
        pytest.param(ClaimId("w-stub-0", "3f2a", 12), "w-stub-0-3f2a-12", id="hyphens in the worker's name"),
    ],
)
def test_a_claim_id_is_written_and_read(claim_id: ClaimId, text: str) -> None:
    assert str(claim_id) == text
    assert ClaimId.parse(text) == claim_id


@given(st.text(), st.from_regex(r"[^-]+", fullmatch=True), st.integers(0))
def test_every_claim_id_survives_its_written_form(worker: str, incarnation: str, n: int) -> None:
    assert ClaimId.parse(str(ClaimId(worker, incarnation, n))) == ClaimId(worker, incarnation, n)


@pytest.mark.parametrize("text", ["", "w", "w-7", "w-3f2a-x", "w-3f2a-", "w--7"])
def test_no_claim_id(text: str) -> None:
    with pytest.raises(ValueError, match="no claim id"):
        ClaimId.parse(text)


@pytest.mark.parametrize("incarnation", ["", "3f-2a"])
def test_an_incarnation_that_could_not_be_read_back_is_refused(incarnation: str) -> None:
    with pytest.raises(ValueError, match="without hyphens"):
        ClaimId("w", incarnation, 0)


def test_keys_are_ordered_by_batch_then_by_row_as_a_number() -> None:
    keys = [JobKey("b", 2), JobKey("a", 10), JobKey("a", 9)]
    assert sorted(keys) == [JobKey("a", 9), JobKey("a", 10), JobKey("b", 2)]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"key": JobKey("b", 2)}, id="row"),
        pytest.param({"round": 2}, id="round"),
        pytest.param({"fence": 2}, id="fence"),
        pytest.param({"claim_id": "c-2"}, id="claim"),
    ],
)
def test_leases_that_differ_in_anything_are_different_leases(changed: dict[str, Any]) -> None:
    held: dict[str, Any] = {"key": JobKey("b", 1), "round": 1, "fence": 1, "claim_id": "c-1"}
    lease = Lease(**held)
    assert lease == Lease(**held)
    assert lease != Lease(**{**held, **changed})
    assert len({lease, Lease(**held), Lease(**{**held, **changed})}) == 2


def test_a_job_is_known_by_the_row_of_its_lease() -> None:
    job = Job(Lease(JobKey("b", 3), 1, 1, "c"), b"{}")
    assert (job.key, job.attempt, job.crashes, job.burial, job.lost) == (JobKey("b", 3), 1, 0, False, ())
