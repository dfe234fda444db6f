"""Shows jobs/accounts/summaries.py and summary.py: each published round is summed up once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from jobs.accounts.archive import FOLDER
from jobs.accounts.summaries import NOTES, catch_up, note_round, sum_up, summaries
from jobs.accounts.summary import Summary, Tally
from jobs.accounts.tallies import tallies
from jobs.batches.batch import BatchPaths, Done
from jobs.batches.published import read_usage, verify
from jobs.batches.rounds import read_marker, reopen, require_batch
from jobs.batches.segments.line import Outcome
from jobs.errors import StoreDamaged
from jobs.intake.accept import IntakeOptions
from jobs.kinds.registry import load_kinds
from jobs.operations.estimate import estimate
from jobs.planning.sizes import Part, Sizes
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch
from jobs.settings import Settings
from jobs.store.checksum import with_checksum
from jobs.store.damage import Damage
from jobs.store.store import Store
from jobs.usage import Usage, total
from tests.support.accounts import damage_file, publish_batches, rows_by_round, sizes_of
from tests.support.clocks import EVENING

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


@pytest.fixture
def two_rounds(shelf: Shelf) -> Shelf:
    shelf.accept(rows=3, tenants=["acme", "zeta"], kinds=["chat", "article"])
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1), shelf.failed(2)])
    shelf.publish()
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.completed(1, round_=2, kind="article"), shelf.completed(2, round_=2)])
    shelf.publish()
    return shelf


def test_a_round_adds_its_difference_by_tenant_model_and_kind(two_rounds: Shelf) -> None:
    first, second = sorted(summaries(two_rounds.store), key=lambda one: one.round)
    assert {group: tally.rows for group, tally in first.added["USD"].items()} == {("acme", "stub", "chat", ""): 1}
    assert {group: tally.rows for group, tally in second.added["USD"].items()} == {
        ("acme", "stub", "chat", ""): 1,
        ("zeta", "stub", "article", ""): 1,
    }
    assert Summary.from_bytes(second.to_bytes(), "here") == second


def test_a_later_round_is_summed_up_although_an_earlier_one_was(shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.publish()
    assert rows_by_round(list(summaries(shelf.store))) == {("night-1", 1): 1}
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.completed(1, round_=2)])
    assert rows_by_round(list(summaries(shelf.store))) == {("night-1", 1): 1}
    shelf.publish()
    assert rows_by_round(list(summaries(shelf.store))) == {("night-1", 1): 1, ("night-1", 2): 1}


def test_a_round_that_was_summed_up_is_not_read_again(two_rounds: Shelf) -> None:
    before = list(summaries(two_rounds.store))
    two_rounds.store.delete("batches/night-1/published")
    assert list(summaries(two_rounds.store)) == before


def test_a_missing_summary_is_made_from_what_was_published(two_rounds: Shelf) -> None:
    """The new summary is the same to the byte. It is made without the inputs and without the rows."""
    before = {name: two_rounds.store.read(f"{FOLDER}/{name}") for name in two_rounds.store.list(FOLDER)}
    two_rounds.forget_summaries()
    two_rounds.store.delete(BatchPaths("night-1").input("stub"))
    (Path(two_rounds.store.url) / "batches/night-1").joinpath("segments").rename(two_rounds.store.url + "/away")
    catch_up(two_rounds.store)
    assert {name: two_rounds.store.read(f"{FOLDER}/{name}") for name in two_rounds.store.list(FOLDER)} == before
    assert two_rounds.store.list(NOTES) == []


def test_a_row_that_was_sent_back_and_fails_is_subtracted(shelf: Shelf) -> None:
    shelf.accept(rows=3, tenants=["acme", "zeta"])
    shelf.write("night-1", [shelf.completed(row) for row in range(3)])
    shelf.publish()
    reopen(shelf.store, "night-1", [0, 1], clock=shelf.clock)
    cheaper = replace(shelf.completed(1, round_=2), usage=Usage(completion_tokens=3))
    shelf.write("night-1", [shelf.failed(0, round_=2), cheaper])
    shelf.publish()
    for again in (False, True):
        if again:
            shelf.forget_summaries()
        found = tallies(shelf.store, "tenant")["USD"]
        assert found == {"acme": tally_of(shelf.completed(2).usage), "zeta": tally_of(cheaper.usage)}
        (_, second) = sorted(summaries(shelf.store), key=lambda one: one.round)
        assert second.added["USD"][("acme", "stub", "chat", "")] == Tally() - tally_of(shelf.completed(0).usage)


@pytest.mark.parametrize("step", range(7))
def test_a_publisher_that_dies_at_any_step_leaves_no_round_out(
    shelf: Shelf, step: int, dying: Callable[[Store, int], Store], killed: type[BaseException]
) -> None:
    """A publisher changes the store six times: it creates the notes of summary and audit, `done` and the summary, and removes
    the note of the summary and the hint.
    """
    shelf.accept(rows=2)
    shelf.store.create(BatchPaths("night-1").open_hint, b"")
    shelf.write("night-1", [shelf.completed(0), shelf.completed(1)])
    try:
        publish(dying(shelf.store, step), "night-1", prices=Prices(), clock=shelf.clock)
    except killed:
        assert step < 6
    else:
        assert step == 6
    shelf.pass_s(60)
    catch_up(shelf.store)
    shelf.publish()
    assert rows_by_round(list(summaries(shelf.store))) == {("night-1", 1): 2}
    assert len(shelf.store.list(FOLDER)) == 1
    assert (shelf.store.list(NOTES), shelf.store.list("open")) == ([], [])


def test_a_round_whose_publisher_died_is_summed_up_although_a_later_one_was_published(
    shelf: Shelf, dying: Callable[[Store, int], Store], killed: type[BaseException]
) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    with pytest.raises(killed):
        publish(dying(shelf.store, 3), "night-1", prices=Prices(), clock=shelf.clock)
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.completed(1, round_=2)])
    shelf.publish()
    assert shelf.store.list(NOTES) == ["night-1.1"]
    assert rows_by_round(list(summaries(shelf.store))) == {("night-1", 1): 1, ("night-1", 2): 1}
    assert shelf.store.list(NOTES) == []


def test_batches_without_a_note_are_not_read(shelf: Shelf) -> None:
    wanted = publish_batches(shelf, 1, 2)

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(shelf.store, name)

        def list(self, folder: str) -> list[str]:
            assert folder in (FOLDER, NOTES)
            return shelf.store.list(folder)

    assert rows_by_round(list(summaries(cast("Store", Watched())))) == wanted


def test_a_note_of_a_round_that_is_not_published_yet_stays(shelf: Shelf) -> None:
    shelf.accept(rows=1)
    note_round(shelf.store, "night-1", 1)
    catch_up(shelf.store)
    assert (shelf.store.list(NOTES), shelf.store.list(FOLDER)) == (["night-1.1"], [])


def test_a_note_of_a_deleted_batch_is_removed(shelf: Shelf) -> None:
    publish_batches(shelf, 1)
    shelf.forget_summaries()
    shelf.store.delete(BatchPaths("b-1").root)
    assert list(summaries(shelf.store)) == []
    assert shelf.store.list(NOTES) == []


def tally_of(*usages: Usage) -> Tally:
    """The tally of rows with these usages, whose segments name no device."""
    return Tally(len(usages), total(usages), sizes=sizes_of(usages))


def test_a_summary_is_read_back_as_it_was_written() -> None:
    added = {("t", "m", "k", ""): Tally(3, Usage(1, 2, 3, 4, 5, 6), 1, 2), ("t", "m", "k", "a" * 12): Tally(2)}
    huge = Usage(10**6, 0, 10**6, 10**15)
    negative = Tally() - replace(tally_of(huge, Usage(70, 0, 3, 5)), sizes=sizes_of([huge], "NVIDIA L4"))
    wasted, expected = {"m": Usage(0, 0, 7, 9), "n": Usage()}, {"m": [3, 900]}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    one = Summary("b", 1, at, {"USD": added, "EUR": {("t", "m", "k", ""): negative}}, wasted, expected)
    assert Summary.from_bytes(one.to_bytes(), "here") == one


def test_sizes_are_kept_by_device_and_add_up_over_rounds(shelf: Shelf) -> None:
    """A row that is sent back is subtracted from the sizes of its old device, and counted on its new one."""
    shelf.accept(rows=4)

    def on(device: str, row: int, *, round_: int = 1, **values: Any) -> Outcome:
        made = shelf.completed(row, round_=round_, **values)
        return replace(made, receipt={**made.receipt, "device": device})

    long = Usage(5000, 0, 900, 10**12, 1, 1)
    shelf.write("night-1", [on("NVIDIA L4", 0), on("NVIDIA L4", 1, usage=long), shelf.failed(2)])
    shelf.write("night-1", [on("cpu", 3)])
    shelf.publish()
    assert verify(shelf.store, "night-1") == []
    reopen(shelf.store, "night-1", [1, 2], clock=shelf.clock)
    shelf.write("night-1", [on("cpu", 1, round_=2), on("cpu", 2, round_=2)])
    shelf.publish()
    assert verify(shelf.store, "night-1") == []
    first, second = sorted(summaries(shelf.store), key=lambda one: one.round)
    of = {row: shelf.completed(row).usage for row in range(4)}
    (group,) = first.added["USD"]
    assert first.added["USD"][group].sizes == {**sizes_of([of[0], long], "NVIDIA L4"), **sizes_of([of[3]], "cpu")}
    assert second.added["USD"][group].sizes[Part("NVIDIA L4", 6)] == Sizes() - sizes_of([long])[Part("", 6)]
    whole = tallies(shelf.store, "batch")["USD"]["night-1"]
    assert whole.sizes == {**sizes_of([of[0]], "NVIDIA L4"), **sizes_of([of[1], of[2], of[3]], "cpu")}


def test_the_waste_and_the_expected_tokens_of_a_round_are_kept(shelf: Shelf) -> None:
    shelf.accept(rows=3)
    failed = replace(shelf.failed(1), model="stub", usage=Usage(9, 0, 4, 700))
    shelf.write("night-1", [shelf.completed(0), failed, replace(shelf.completed(2), wasted=Usage(0, 0, 1, 20))])
    shelf.publish()
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.completed(1, round_=2)])
    shelf.publish()
    first, second = sorted(summaries(shelf.store), key=lambda one: one.round)
    assert (first.wasted or {})["stub"] == Usage(9, 0, 5, 720)
    assert second.wasted == {}, "nothing more was wasted"
    lanes = require_batch(shelf.store, "night-1").lanes
    assert first.expected == {"stub": [3, lanes["stub"].cost]}
    assert second.expected == {}, "the rows of the batch are expected once"


def test_a_summary_of_a_release_without_sizes_is_read_and_counts_later(shelf: Shelf) -> None:
    """If a release without sizes published the first round, the second one brings the sizes of all rows."""
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.publish()
    (first,) = summaries(shelf.store)
    old = Summary(
        first.batch_id, 1, first.at, {"USD": {g: replace(t, sizes={}) for g, t in first.added["USD"].items()}}
    )
    assert Summary.from_bytes(old.to_bytes(), "here") == old
    assert old.wasted is None
    done = read_marker(shelf.store, BatchPaths("night-1").done(1), Done)
    usage = read_usage(shelf.store, done, "night-1")
    before = {**usage, "groups": [{k: v for k, v in one.items() if k != "sizes"} for one in usage["groups"]]}
    again = Summary.of_round("night-1", done, usage, before)
    assert [tally.sizes for tally in again.added["USD"].values()] == [sizes_of([shelf.completed(0).usage])]


def test_a_summary_of_a_release_without_verdicts_is_read() -> None:
    group = ["t", "m", "k", "", {"rows": 2, **Usage(1, 2, 3, 4, 5, 6).as_dict()}]
    values = {"format": 1, "batch_id": "b", "round": 1, "at": "2026-01-01T00:00:00Z", "added": {"USD": [group]}}
    one = Summary.from_bytes(with_checksum(orjson.dumps(values)), "here")
    assert one.added == {"USD": {("t", "m", "k", ""): Tally(2, Usage(1, 2, 3, 4, 5, 6), 0, 0)}}


def test_rows_are_grouped_by_the_template_of_their_first_prompt(shelf: Shelf) -> None:
    receipt = {"templates": {"title": "a" * 64, "text": "b" * 64}, "prices": "p"}
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.completed(1, receipt=receipt)])
    shelf.publish()
    (one,) = summaries(shelf.store)
    assert {template for *_, template in one.added["USD"]} == {"", "a" * 12}


def test_a_batch_that_is_missing_or_not_published_has_no_summary(shelf: Shelf) -> None:
    shelf.accept()
    for batch_id in ("night-1", "nobody"):
        sum_up(shelf.store, batch_id)
    assert shelf.store.list(FOLDER) == []
    assert Tally() - Tally() == Tally()


def delete_and_publish_again(shelf: Shelf) -> None:
    """Delete the batch, and accept and publish the same rows again."""
    delete_batch(shelf.store, "b-1", clock=shelf.clock)
    shelf.pass_s(86_400)
    publish_batches(shelf, 1)


def test_a_batch_with_the_id_of_a_deleted_one_has_summaries_of_its_own(shelf: Shelf) -> None:
    publish_batches(shelf, 1)
    delete_and_publish_again(shelf)
    both = list(summaries(shelf.store))
    assert [(one.batch_id, one.round, one.at) for one in both] == [("b-1", 1, EVENING), ("b-1", 1, shelf.now)]
    assert rows_by_round(both[:1]) == rows_by_round(both[1:]) == {("b-1", 1): 1}
    delete_and_publish_again(shelf)
    assert len(list(summaries(shelf.store))) == 3
    assert shelf.store.list(NOTES) == []


DAMAGES = [
    pytest.param("published/*/usage.json", b'"rows":1', b'"rows":2', id="another number"),
    pytest.param("published/*/usage.json", b'"USD"', b'"EUR"', id="another currency"),
    pytest.param("published/*/usage.json", b'"tenant"', b'"tenanz"', id="another field"),
    pytest.param("published/*/usage.json", b"{", b"", id="sums that are no JSON"),
    pytest.param("done-1.json", b'"round"', b'"sound"', id="a marker"),
    pytest.param("batch.json", b"{", b"", id="the acceptance"),
]


@pytest.mark.parametrize(("file", "old", "new"), DAMAGES)
def test_a_damaged_batch_is_named_and_enters_the_accounts_once_it_is_restored(
    shelf: Shelf, file: str, old: bytes, new: bytes
) -> None:
    wanted = publish_batches(shelf, 1, 2, 3)
    shelf.forget_summaries()
    restore = damage_file(shelf.store, f"batches/b-2/{file}", old, new)
    others = {("b-1", 1): 1, ("b-3", 1): 1}
    found: list[Summary] = []
    with pytest.raises(StoreDamaged, match=r"b-2.*Restore it from a backup"):
        found.extend(summaries(shelf.store))
    assert rows_by_round(found) == others, "other batches do not wait"
    faults: list[StoreDamaged] = []
    assert rows_by_round(list(summaries(shelf.store, faults))) == others
    assert ["b-2" in str(fault) for fault in faults] == [True]
    restore()
    again = list(summaries(shelf.store))
    assert (rows_by_round(again), shelf.store.list(NOTES)) == (wanted, [])
    assert {group for one in again for group in one.added["USD"]} == {("default", "stub", "chat", "")}


@pytest.mark.parametrize("file", ["published/*/output.jsonl", "input/stub.jsonl"])
def test_damage_of_rows_keeps_no_batch_out_of_the_accounts(shelf: Shelf, file: str) -> None:
    wanted = publish_batches(shelf, 1)
    shelf.forget_summaries()
    damage_file(shelf.store, f"batches/b-1/{file}", b'"row":0', b'"row":7')
    assert rows_by_round(list(summaries(shelf.store))) == wanted


def test_a_damaged_batch_is_read_less_and_less_often(shelf: Shelf) -> None:
    publish_batches(shelf, 1, 2)
    shelf.forget_summaries()
    restore = damage_file(shelf.store, "batches/b-2/published/*/usage.json", b'"rows":1', b'"rows":2')
    seconds = [0.0]
    damage = Damage(lambda: seconds[0])

    def ask() -> None:
        with pytest.raises(StoreDamaged, match="b-2"):
            catch_up(shelf.store, damage)

    ask()
    seconds[0] = 1.0
    ask()
    restore()
    seconds[0] = 2.9
    ask()
    seconds[0] = 3.0
    catch_up(shelf.store, damage)
    assert shelf.store.list(NOTES) == []


def test_an_error_about_many_damaged_batches_is_one_line(shelf: Shelf) -> None:
    publish_batches(shelf, *range(12))
    shelf.forget_summaries()
    for n in range(12):
        damage_file(shelf.store, f"batches/b-{n}/batch.json", b"{", b"")
    with pytest.raises(
        StoreDamaged, match=r"^not in the accounts: b-0, b-1, b-10, .*, b-7 and 2 more; .*b-0/batch.json"
    ):
        catch_up(shelf.store)


def test_an_estimate_leaves_damaged_batches_out(shelf: Shelf) -> None:
    publish_batches(shelf, 1)
    shelf.forget_summaries()
    damage_file(shelf.store, "batches/b-1/batch.json", b"{", b"")
    line = orjson.dumps({"kind": "chat", "model": "stub", "prompt": "Hi"})
    found = estimate(shelf.store, [line], IntakeOptions(), load_kinds(), Settings(store_url="unused", model="stub"))
    assert [one.basis for one in found.lines] == ["assumed"]
