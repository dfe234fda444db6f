"""Shows jobs/gateway/page/downloads.py: the outputs in each form, and that no cell of them runs in a spreadsheet."""

import csv
import io
import zipfile
from pathlib import Path

import orjson
import pytest

from tests.support.gateway.browser import Browser
from tests.support.gateway.front_desk import FrontDesk


def downloaded(browser: Browser, address: str) -> tuple[bytes, str, str]:
    """The bytes, the name and the type of a file."""
    answer = browser.http.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    name = answer.headers["content-disposition"].removeprefix('attachment; filename="').removesuffix('"')
    return answer.content, name, answer.headers["content-type"]


def test_json_lines_are_those_of_the_batch(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.published(failed=[1])
    address = f"/page/batches/{submission}/download"
    content, name, _ = downloaded(browser, address)
    assert [orjson.loads(line)["row"] for line in content.splitlines()] == [0, 2]
    assert content == b"".join(front_desk.client.results(batch_id).lines())
    assert name == f"{batch_id}-completed.jsonl"
    content, name, _ = downloaded(browser, f"{address}?rows=failed")
    assert [orjson.loads(line)["row"] for line in content.splitlines()] == [1]
    assert name == f"{batch_id}-failed.jsonl"


def test_openai_lines_are_those_of_the_api(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published()
    content, name, _ = downloaded(browser, f"/page/batches/{submission}/download?form=openai")
    file_id = front_desk.batch(submission)["output_file_id"]
    assert content == front_desk.http.get(f"/v1/files/{file_id}/content").content
    assert name.endswith(".jsonl")


def test_no_cell_of_a_table_is_a_formula(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.admitted()
    shelf = front_desk.shelf
    shelf._tenants = ("shop",)
    texts = ("=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)")
    shelf.write(batch_id, [shelf.completed(n, output={"text": text}) for n, text in enumerate(texts)])
    front_desk.client.publish(batch_id)
    content, name, media_type = downloaded(browser, f"/page/batches/{submission}/download?form=csv")
    read = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert len(read) == 3
    assert all(not cell.startswith(("=", "+", "@", "-")) for one in read for cell in one.values() if cell)
    assert name.endswith(".csv")
    assert media_type.startswith("text/csv")


def test_markdown_is_a_file_for_each_row(front_desk: FrontDesk, browser: Browser) -> None:
    submission, _ = front_desk.published()
    content, name, media_type = downloaded(browser, f"/page/batches/{submission}/download?form=markdown")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.namelist() == [f"00000{n}-c{n}.md" for n in range(3)]
        assert "Text 1" in packed.read("000001-c1.md").decode()
    assert (name.rpartition("-")[2], media_type) == ("completed.zip", "application/zip")


def test_parquet(front_desk: FrontDesk, browser: Browser) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    submission, _ = front_desk.published()
    content, name, _ = downloaded(browser, f"/page/batches/{submission}/download?form=parquet")
    assert parquet.read_table(io.BytesIO(content)).column("row").to_pylist() == [0, 1, 2]
    assert name.endswith(".parquet")


def test_documents_are_offered_only_where_there_are_some(
    front_desk: FrontDesk, browser: Browser, tmp_path: Path
) -> None:
    submission, _ = front_desk.published()
    assert browser.get(f"/page/batches/{submission}/download?form=document").status == 400
    assert "document" not in browser.get(f"/page/batches/{submission}").html
    source = tmp_path / "menu.po"
    source.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Open the file"\nmsgstr ""\n'
    )
    fields = {"source_language": "en", "target_language": "de"}
    made = front_desk.client.enqueue(source, kind="translation", fields=fields, model="stub", tenant="shop")
    shelf = front_desk.shelf
    shelf._tenants = ("shop",)
    output = {"source_language": "en", "target_language": "de", "source": "Open the file", "text": "Datei öffnen"}
    request = front_desk.client.row(made.id, 0).request
    assert request is not None
    known = {name: request[name] for name in ("custom_id", "metadata")}
    shelf.write(made.id, [shelf.completed(0, kind="translation", output={**output, "segments": []}, **known)])
    front_desk.client.publish(made.id)
    assert '<option value="document">' in browser.get(f"/page/batches/{made.id}").html
    content, _, _ = downloaded(browser, f"/page/batches/{made.id}/download?form=document")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        (name,) = packed.namelist()
        assert 'msgstr "Datei öffnen"' in packed.read(name).decode()


@pytest.mark.parametrize("rows", ["fit", "review"])
def test_rows_of_a_verdict(front_desk: FrontDesk, browser: Browser, rows: str) -> None:
    submission, batch_id = front_desk.admitted()
    shelf = front_desk.shelf
    shelf._tenants = ("shop",)
    shelf.write(batch_id, [shelf.completed(n, verdict="fit" if n else "review") for n in range(3)])
    front_desk.client.publish(batch_id)
    content, _, _ = downloaded(browser, f"/page/batches/{submission}/download?rows={rows}")
    assert [orjson.loads(line)["row"] for line in content.splitlines()] == ([1, 2] if rows == "fit" else [0])


@pytest.mark.parametrize("query", ["form=pdf", "rows=all", "form=../x"])
def test_a_form_that_there_is_not_is_refused(front_desk: FrontDesk, browser: Browser, query: str) -> None:
    submission, _ = front_desk.published()
    assert browser.get(f"/page/batches/{submission}/download?{query}").status == 400


def test_an_unfinished_batch_has_the_rows_so_far(front_desk: FrontDesk, browser: Browser) -> None:
    submission, batch_id = front_desk.admitted()
    address = f"/page/batches/{submission}/download"
    assert downloaded(browser, address)[0] == b""
    front_desk.shelf.write(batch_id, [front_desk.shelf.completed(1)])
    assert [orjson.loads(line)["row"] for line in downloaded(browser, address)[0].splitlines()] == [1]
