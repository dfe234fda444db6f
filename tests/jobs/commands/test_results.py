"""Shows jobs/commands/results.py."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
import yaml
from pyarrow import parquet

from jobs.batches.published import published_path
from jobs.batches.rounds import reopen
from jobs.errors import StoreDamaged
from jobs.operations.results import results
from tests.support.command_line import Ran
from tests.support.outcomes import finding

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_results_are_the_published_bytes(nightpress: Callable[..., Ran], night: Shelf, tmp_path: Path) -> None:
    ran = nightpress("results", "night-1")
    (folder,) = night.store.list("batches/night-1/published")
    published = night.store.read(f"batches/night-1/published/{folder}/output.jsonl")
    assert (ran.status, ran.out.encode(), ran.err) == (0, published, "")
    assert [row["row"] for row in ran.rows()] == [0, 3]
    ran = nightpress("results", "night-1", "-o", "out.jsonl")
    assert (ran.out, (tmp_path / "out.jsonl").read_bytes()) == ("", published)
    assert [row["row"] for row in nightpress("results", "night-1", "--errors").rows()] == [1, 2]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        pytest.param("jsonl", "output.jsonl", id="jsonl"),
        pytest.param("csv", "output.csv", id="csv"),
        pytest.param("openai", "output.jsonl", id="openai"),
        pytest.param("parquet", "output.parquet", id="parquet"),
    ],
)
def test_results_go_to_a_file_a_folder_or_a_url(
    nightpress: Callable[..., Ran], night: Shelf, tmp_path: Path, form: str, name: str
) -> None:
    del night
    (tmp_path / "there").mkdir()
    places = {
        "a file": (str(tmp_path / "file"), tmp_path / "file"),
        "a folder that is there": ("there", tmp_path / "there" / name),
        "a folder that is not": ("new/folder/", tmp_path / "new/folder" / name),
        "a URL of this machine": (f"file://{tmp_path}/url/", tmp_path / "url" / name),
    }
    for place, _ in places.values():
        assert nightpress("results", "night-1", "--format", form, "-o", place).status == 0
    assert nightpress("results", "night-1", "--format", form, "-o", f"memory://results/{form}").status == 0
    with fsspec.open(f"memory://results/{form}") as remote:
        found = {remote.read(), *(path.read_bytes() for _, path in places.values())}
    assert len(found) == 1
    assert found != {b""}
    assert nightpress("results", "night-1", "--format", form, "--errors", "-o", "there").status == 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [f"errors.{name.partition('.')[2]}", name]


def test_pages_go_to_a_folder_or_a_url(nightpress: Callable[..., Ran], night: Shelf, tmp_path: Path) -> None:
    del night
    (tmp_path / "file").write_bytes(b"")
    assert nightpress("results", "night-1", "--format", "markdown", "-o", "pages").status == 0
    assert nightpress("results", "night-1", "--format", "markdown", "-o", "memory://site/posts/").status == 0
    pages = {path.name: path.read_bytes() for path in (tmp_path / "pages").iterdir()}
    assert sorted(pages) == ["000000-c0.md", "000003-c3.md"]
    for name, page in pages.items():
        with fsspec.open(f"memory://site/posts/{name}") as remote:
            assert remote.read() == page
    for place in ([], ["-o", "file"]):
        ran = nightpress("results", "night-1", "--format", "markdown", *place)
        assert (ran.status, "name a folder with -o" in ran.err) == (2, True)


def test_results_of_an_unfinished_batch_are_marked_so(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=4, refused=[3])
    shelf.write("night-1", [shelf.completed(2), shelf.failed(1, final=False)], worker="a")
    shelf.write("night-1", [shelf.completed(0), shelf.completed(2, output={"text": "later"})], worker="b")
    ran = nightpress("results", "night-1")
    assert [(row["row"], row["output"]["text"]) for row in ran.rows()] == [(0, "Text 0"), (2, "Text 2")]
    assert ran.rows()[0]["status"] == "completed"
    assert "not finished: 2 of 4 rows so far" in ran.err
    ran = nightpress("results", "night-1", "--errors")
    assert [(row["row"], row["error"]["code"]) for row in ran.rows()] == [(3, "not_json")]


def test_results_of_a_reopened_batch_are_those_of_the_round_before(
    nightpress: Callable[..., Ran], night: Shelf
) -> None:
    assert nightpress("failed", "retry", "night-1").status == 0
    ran = nightpress("results", "night-1")
    assert [row["row"] for row in ran.rows()] == [0, 3]
    assert "round 2 is open" in ran.err


ROWS_BY_VERDICT = {"fit": [0, 4], "review": [1], "failed": [2]}
"""The rows of `judged`. Row 3 completed, and was not judged."""


def write_judged(shelf: Shelf) -> None:
    """Write the outcomes of five rows. Outputs and metadata of rows quote the verdicts of other rows."""
    quoted = '"verdict":"fit","status":"failed"'
    shelf.accept(rows=5)
    shelf.write("night-1", [shelf.completed(0, verdict="fit", metadata={"verdict": "review", "status": "failed"})])
    found = [finding("gap"), finding("gap"), finding("doubled_word", "note")]
    for_review = shelf.completed(1, verdict="review", findings=found, output={"text": quoted})
    shelf.write("night-1", [for_review, shelf.failed(2)])
    unjudged = shelf.completed(3, output={"text": quoted}, metadata={"verdict": "fit", "also": quoted})
    shelf.write("night-1", [unjudged, shelf.completed(4, verdict="fit")])


@pytest.fixture(params=["open", "published", "open again"])
def judged(shelf: Shelf, request: pytest.FixtureRequest) -> Shelf:
    """A batch `night-1` with rows of each verdict, in each state of a batch."""
    write_judged(shelf)
    if request.param != "open":
        shelf.publish()
    if request.param == "open again":
        reopen(shelf.store, "night-1", clock=shelf.clock)
    return shelf


@pytest.mark.parametrize("only", ["fit", "review", "failed"])
def test_only_rows_of_a_verdict_are_written_in_every_form(
    nightpress: Callable[..., Ran], judged: Shelf, tmp_path: Path, only: str
) -> None:
    del judged
    wanted = ROWS_BY_VERDICT[only]
    ran = nightpress("results", "night-1", "--only", only)
    assert (ran.status, [row["row"] for row in ran.rows()]) == (0, wanted)
    assert [row.get("verdict") for row in ran.rows()] == [None if only == "failed" else only] * len(wanted)
    table = nightpress("results", "night-1", "--only", only, "--format", "csv").out
    assert [int(row["row"]) for row in csv.DictReader(io.StringIO(table.removeprefix("\ufeff"), newline=""))] == wanted
    lines = nightpress("results", "night-1", "--only", only, "--format", "openai").rows()
    assert [line["custom_id"] for line in lines] == [f"c{row}" for row in wanted]
    assert nightpress("results", "night-1", "--only", only, "--format", "parquet", "-o", "a.parquet").status == 0
    assert parquet.read_table(tmp_path / "a.parquet")["row"].to_pylist() == wanted
    assert nightpress("results", "night-1", "--only", only, "--format", "markdown", "-o", "pages").status == 0
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == [f"00000{row}-c{row}.md" for row in wanted]


def test_tables_and_front_matter_have_verdict_and_findings(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    write_judged(shelf)
    table = nightpress("results", "night-1", "--format", "csv").out
    rows = csv.DictReader(io.StringIO(table.removeprefix("\ufeff"), newline=""))
    assert [(row["verdict"], row["findings"]) for row in rows] == [
        ("fit", ""),
        ("review", "gap, doubled_word"),
        ("", ""),
        ("fit", ""),
    ]
    assert nightpress("results", "night-1", "--format", "markdown", "-o", "pages").status == 0
    fronts = [
        yaml.safe_load(path.read_text().split("---\n")[1])["nightpress"] for path in sorted(Path("pages").iterdir())
    ]
    assert [(front.get("verdict"), front.get("findings")) for front in fronts] == [
        ("fit", None),
        ("review", ["gap", "doubled_word"]),
        (None, None),
        ("fit", None),
    ]
    assert "verdict" not in nightpress("results", "night-1", "--format", "openai").rows()[1]["response"]["body"]


def test_a_verdict_that_does_not_go_with_other_options_is_refused(
    nightpress: Callable[..., Ran], judged: Shelf
) -> None:
    del judged
    ran = nightpress("results", "night-1", "--only", "review", "--errors")
    assert (ran.status, "rows with the verdict review completed: leave out --errors" in ran.err) == (2, True)
    ran = nightpress("results", "night-1", "--only", "failed", "--errors")
    assert (ran.status, [row["row"] for row in ran.rows()]) == (0, [2])
    ran = nightpress("results", "night-1", "--only", "good")
    assert (ran.status, "fit" in ran.err) == (2, True)


def test_a_damaged_line_is_named_although_only_some_rows_are_wanted(
    nightpress: Callable[..., Ran], shelf: Shelf
) -> None:
    write_judged(shelf)
    path = published_path(shelf.publish(), "night-1", "output.jsonl")
    data = shelf.store.read(path)
    shelf.store.delete(path)
    shelf.store.create(path, data.replace(b'{"batch_id"', b'["batch_id"', 1))
    ran = nightpress("results", "night-1", "--only", "fit")
    assert ran.status == 3
    assert "damaged" in ran.err
    with pytest.raises(StoreDamaged):
        list(results(shelf.store, "night-1", only="fit"))


def test_rows_that_were_not_checked_are_said(nightpress: Callable[..., Ran], night: Shelf) -> None:
    """Otherwise nobody knows whether all rows are bad, or none was looked at."""
    del night
    ran = nightpress("results", "night-1", "--only", "fit")
    assert (ran.status, ran.out) == (0, "")
    assert "night-1: 2 completed rows were not checked, so without a verdict" in ran.err
    ran = nightpress("results", "night-1", "--only", "failed")
    assert (ran.status, len(ran.rows()), ran.err) == (0, 2, "")
    assert "not checked" not in nightpress("results", "night-1").err
