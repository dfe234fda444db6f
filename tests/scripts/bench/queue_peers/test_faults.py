"""Shows how `scripts/bench/queue_peers/faults.py` counts after workers were broken, its tables, and a trial of Nightpress."""

from pathlib import Path

import pytest

from scripts.bench.queue_peers.contenders import Bench
from scripts.bench.queue_peers.faults import FAULTS, Record, Trial, lines, tally
from scripts.bench.queue_peers.server import server


@pytest.mark.parametrize(
    ("ran", "stored", "readable", "found"),
    [
        pytest.param("012", "012", "012", (0, 0, 0), id="all-well"),
        pytest.param("012", "012", "02", (1, 0, 0), id="a-result-that-was-stored-and-is-gone-is-lost"),
        pytest.param("0112", "012", "012", (0, 0, 1), id="a-body-that-ran-again-before-its-result-was-stored"),
        pytest.param("01112", "01112", "012", (0, 1, 1), id="a-job-with-three-results-is-one-job"),
        pytest.param("012", "", "0122", (0, 1, 0), id="two-results-in-the-store-itself"),
        pytest.param("0011", "0011", "01", (1, 2, 2), id="lost-and-twice"),
        pytest.param("01233", "01233", "01233", (0, 0, 0), id="an-extra-job-at-the-end-does-not-count"),
    ],
)
def test_jobs_are_counted_by_results_and_by_effects(
    ran: str, stored: str, readable: str, found: tuple[int, int, int]
) -> None:
    assert tally(3, ran, stored, readable) == dict(zip(("lost", "twice", "again"), found, strict=True))


def test_a_record_is_read_while_workers_write_it_and_is_cleared(tmp_path: Path) -> None:
    record = Record(tmp_path / "peer.log")
    assert (record.lines("ran"), record.events()) == ([], 0)
    (tmp_path / "peer.log.ran").write_text("0\n1\n")
    (tmp_path / "peer.log.stored").write_text("1\n")
    assert (record.lines("ran"), record.lines("stored"), record.events()) == (["0", "1"], ["1"], 3)
    record.clear()
    assert record.events() == 0


def test_the_tables_fit_a_terminal() -> None:
    cost = {"n": 10, "lost": 1_000, "twice": 1_000, "again": 1_000, "s": 999}
    systems = {name: {"default": cost, "kept": cost} for name in ("nightpress", "dramatiq")}
    made = lines(dict.fromkeys(FAULTS, systems))
    assert all(len(line) <= 80 for line in made)
    names = [line.split()[0] for line in made if line]
    assert names == [name for fault in FAULTS for name in (fault, "nightpress", "dramatiq")]
    assert made[2].split()[1:] == ["10", "1,000", "1,000", "1,000", "999"] * 2


@pytest.mark.faults
def test_nightpress_loses_nothing_when_it_dies_between_storing_and_settling(tmp_path: Path) -> None:
    with server(tmp_path / "server") as url:
        bench = Bench(url, tmp_path, tmp_path / "peers", jobs=0, size=100)
        found = Trial(bench, "nightpress", "unacked", count=1, jobs=300, wait_s=9, kept=True).run()
    assert (found["n"], found["lost"], found["twice"]) == (1, 0, 0)
