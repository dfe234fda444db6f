"""Shows jobs/batches/published.py: a published file is checked as it is read, and `verify` names each fault."""

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.published import published_path, read_published, read_usage, verify
from jobs.batches.rounds import read_round, require_batch, to_bytes
from jobs.errors import StoreTooNew, StoreUnavailable

PATHS = BatchPaths("night-1")
Files = dict[str, list[dict[str, Any]]]


@pytest.fixture
def done(shelf: Any) -> Done:
    """Row 0 is fit, row 1 failed, row 2 is for review."""
    shelf.accept(rows=3)
    shelf.write("night-1", [shelf.completed(0, verdict="fit"), shelf.failed(1), shelf.completed(2, verdict="review")])
    return shelf.publish()  # type: ignore[no-any-return]


def replace_files(shelf: Any, done: Done, change: Callable[[Files], object]) -> None:
    """Replace the published files by changed files, and the marker by a marker with the sha256 of the changed files."""
    files: Files = {name: list(read_published(shelf.store, done, "night-1", name)) for name in done.files}
    change(files)
    records = {}
    for name, rows in files.items():
        data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        shelf.store.delete(published_path(done, "night-1", name))
        shelf.store.create(published_path(done, "night-1", name), data)
        record = done.files[name]
        records[name] = record.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
    shelf.store.delete(PATHS.done(1))
    shelf.store.create(PATHS.done(1), to_bytes(done.model_copy(update={"files": records})))


def test_a_whole_batch_has_no_fault(shelf: Any, done: Done) -> None:
    assert verify(shelf.store, "night-1") == []
    replace_files(shelf, done, lambda files: None)
    assert verify(shelf.store, "night-1") == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(lambda f: f["output.jsonl"].pop(), "1 rows have no outcome, the first is 2", id="I1 lost"),
        pytest.param(
            lambda f: f["output.jsonl"].append(f["output.jsonl"][0]), "row 0 has more than one outcome", id="I1 twice"
        ),
        pytest.param(
            lambda f: f["errors.jsonl"].append({**f["errors.jsonl"][0], "row": 0}),
            "row 0 has more than one outcome",
            id="I1 in both files",
        ),
        pytest.param(lambda f: f["errors.jsonl"][0].update(row=9), "row 9 is not in the batch", id="I1 foreign"),
        pytest.param(lambda f: f["errors.jsonl"][0].update(status="completed"), "wrong file", id="I1 wrong file"),
        pytest.param(lambda f: f["errors.jsonl"][0].pop("error"), "without its output or error", id="I1 no error"),
        pytest.param(lambda f: f["errors.jsonl"][0].update(status="expired"), "done counts", id="I1 counts"),
        pytest.param(lambda f: f["output.jsonl"][0]["usage"].update(charge=1), "totals", id="I2 totals"),
        pytest.param(lambda f: f["usage.json"][0].update(device_ns=1), "totals", id="I2 usage.json"),
        pytest.param(lambda f: f["usage.json"][0].update(rows=3), "usage.json counts 3 rows", id="I2 rows"),
        pytest.param(lambda f: f["usage.json"][0]["models"]["stub"].update(charge=1), "the models", id="I2 models"),
        pytest.param(lambda f: f["output.jsonl"][0].update(tenant="other"), "the groups", id="I2 groups"),
        pytest.param(lambda f: f["usage.json"][0]["groups"][0].update(rows=1), "the groups", id="I2 groups of usage"),
        pytest.param(
            lambda f: f["output.jsonl"][0].update(verdict="review"),
            "done counts {'fit': 1, 'review': 1}, and the files hold {'review': 2}",
            id="verdict of a row",
        ),
        pytest.param(lambda f: f["output.jsonl"][0].pop("verdict"), "the files hold {'review': 1}", id="no verdict"),
        pytest.param(
            lambda f: f["usage.json"][0].update(review=2),
            "usage.json counts {'fit': 1, 'review': 2}, and the files hold {'fit': 1, 'review': 1}",
            id="verdicts of usage",
        ),
        pytest.param(lambda f: f["output.jsonl"][0].pop("row"), "KeyError", id="not our row"),
    ],
)
def test_each_fault_is_named(shelf: Any, done: Done, change: Callable[[Files], object], fault: str) -> None:
    replace_files(shelf, done, change)
    assert any(fault in found for found in verify(shelf.store, "night-1")), verify(shelf.store, "night-1")


@pytest.mark.parametrize("name", ["output.jsonl", "errors.jsonl", "usage.json"])
@pytest.mark.parametrize("damage", ["other bytes", "missing"])
def test_damage_is_noticed_when_a_file_is_read(shelf: Any, done: Done, name: str, damage: str) -> None:
    path = published_path(done, "night-1", name)
    data = shelf.store.read(path)
    shelf.store.delete(path)
    if damage == "other bytes":
        shelf.store.create(path, data.replace(b"1", b"2"))
    with pytest.raises(StoreUnavailable, match=r"damaged|missing"):
        list(read_published(shelf.store, done, "night-1", name))
    assert verify(shelf.store, "night-1")


def test_sums_of_a_newer_release_are_refused_and_not_read(shelf: Any, done: Done) -> None:
    replace_files(shelf, done, lambda files: files["usage.json"][0].update(format=99))
    with pytest.raises(StoreTooNew, match=r"usage.json was written by a newer release, in format 99"):
        read_usage(shelf.store, read_round(shelf.store, require_batch(shelf.store, "night-1")).done, "night-1")  # type: ignore[arg-type]


def test_usage_is_one_object(shelf: Any, done: Done) -> None:
    assert read_usage(shelf.store, done, "night-1")["rows"] == 2


@pytest.mark.parametrize(
    ("verdicts", "kept", "kept_with_review"),
    [
        pytest.param({"fit": 3}, True, True, id="all fit"),
        pytest.param({"fit": 2, "review": 1}, False, True, id="one for review"),
        pytest.param({}, True, True, id="none was judged"),
        pytest.param({"fit": 1}, True, True, id="some were not judged"),
        pytest.param({"review": 3}, False, True, id="all for review"),
    ],
)
def test_a_batch_is_kept_if_all_rows_completed_and_none_is_for_review(
    done: Done, verdicts: dict[str, int], kept: bool, kept_with_review: bool
) -> None:
    whole = done.model_copy(update={"counts": {"completed": 3}, "verdicts": verdicts})
    assert (whole.is_kept(3, accept_review=False), whole.is_kept(3, accept_review=True)) == (kept, kept_with_review)
    assert not whole.is_kept(4, accept_review=True), "a row did not complete"


def test_a_marker_with_more_verdicts_than_completed_rows_is_refused(done: Done) -> None:
    values = done.model_dump(mode="json")
    assert Done.model_validate_json(orjson.dumps(values)) == done
    with pytest.raises(ValueError, match="verdicts: more than completed"):
        Done.model_validate_json(orjson.dumps({**values, "verdicts": {"fit": 2, "review": 1}}))


@pytest.fixture
def in_two_currencies(shelf: Any) -> Done:
    """Rows 0 and 1 are charged in EUR, row 2 in USD, row 3 names no currency."""
    shelf.accept(rows=4)
    shelf.write("night-1", [shelf.priced(0, "EUR"), shelf.priced(1, "EUR")])
    shelf.write("night-1", [shelf.priced(2, "USD")])
    shelf.write("night-1", [shelf.completed(3)])
    return shelf.publish()  # type: ignore[no-any-return]


def test_a_round_in_two_currencies_has_no_fault(shelf: Any, in_two_currencies: Done) -> None:
    usage = read_usage(shelf.store, in_two_currencies, "night-1")
    assert (usage["currency"], list(usage["other_currencies"])) == ("EUR", ["USD"])
    assert verify(shelf.store, "night-1") == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda sums: sums.update(charge=sums["charge"] + 1), id="the main currency"),
        pytest.param(lambda sums: sums["other_currencies"]["USD"].update(charge=0), id="the other currency"),
        pytest.param(lambda sums: sums["other_currencies"].pop("USD"), id="the other currency is missing"),
        pytest.param(lambda sums: sums.pop("other_currencies"), id="no other currency"),
        pytest.param(lambda sums: sums["other_currencies"].update(GBP={"charge": 1}), id="a currency of no row"),
        pytest.param(lambda sums: sums.update(prompt_tokens=0), id="tokens"),
    ],
)
def test_wrong_amounts_of_two_currencies_are_faults(shelf: Any, in_two_currencies: Done, change: Any) -> None:
    replace_files(shelf, in_two_currencies, lambda files: change(files["usage.json"][0]))
    assert "the totals of usage.json differ from the sum over output.jsonl" in verify(shelf.store, "night-1")


def test_wrong_amounts_of_a_model_in_two_currencies_are_faults(shelf: Any, in_two_currencies: Done) -> None:
    def change(files: Files) -> None:
        files["usage.json"][0]["models"]["stub"]["other_currencies"]["USD"]["charge"] += 1

    replace_files(shelf, in_two_currencies, change)
    assert verify(shelf.store, "night-1") == ["the models of usage.json differ from the sums over output.jsonl"]
