"""Shows jobs/commands/results.py."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from tests.support.command_line import Ran

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
