"""Downloads: the outputs of a batch in each form. What fits no stream is made in a temporary file first."""

import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from jobs.formats.results.form import ResultForm
from jobs.formats.results.markdown import Pages
from jobs.formats.results.writing import SUFFIXES, write_results
from jobs.gateway.access import AtDesk
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.page.batches import batch_id_of
from jobs.gateway.page.rendering import POLICY
from jobs.gateway.page.visitors import PageRoute, Viewer
from jobs.operations.results import Results

router = APIRouter(prefix="/page/batches/{batch_id}", include_in_schema=False, route_class=PageRoute)

PIECE_BYTES: Final = 1 << 18
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]")
_TYPES: Final = {
    ResultForm.JSONL: "application/jsonl",
    ResultForm.OPENAI: "application/jsonl",
    ResultForm.CSV: "text/csv; charset=utf-8",
    ResultForm.PARQUET: "application/vnd.apache.parquet",
}


@router.get("/download")
def download(
    batch_id: str,
    desk: AtDesk,
    visitor: Viewer,
    form: ResultForm = ResultForm.JSONL,
    rows: Literal["completed", "failed", "fit", "review"] = "completed",
) -> Response:
    """Send the rows so far in a form, as a file."""
    _, own_id = batch_id_of(desk, visitor, batch_id)
    only = rows if rows in ("fit", "review") else None
    found = desk.client.results(own_id, errors=rows == "failed", only=only)
    name = f"{_NOT_PLAIN.sub('_', own_id)}-{rows}"
    if form in (ResultForm.MARKDOWN, ResultForm.DOCUMENT):
        pages = _documents(desk, own_id, only) if form is ResultForm.DOCUMENT else _pages(found)
        return _sent(_of_file(pages), f"{name}.zip", "application/zip")
    lines = _table(desk, found, form) if form is not ResultForm.JSONL else found.lines()
    return _sent(lines, f"{name}.{SUFFIXES[form]}", _TYPES[form])


def _sent(pieces: Iterator[bytes], name: str, media_type: str) -> Response:
    """Return the answer of a download. An error that comes before the first piece is told instead."""
    first = next(pieces, b"")

    def all_pieces() -> Iterator[bytes]:
        yield first
        yield from pieces

    headers = {"content-disposition": f'attachment; filename="{name}"', "content-security-policy": POLICY}
    return StreamingResponse(all_pieces(), 200, headers, media_type)


def _table(desk: Desk, found: Results, form: ResultForm) -> Iterator[bytes]:
    """Yield the rows in a form of one file. Parquet is made in a temporary file, since its end tells where its parts are."""
    from jobs.formats.results import openai_lines, tables

    if form is ResultForm.OPENAI:
        return openai_lines.lines(map(orjson.loads, found.lines()))
    columns = tables.columns(found.batch.kinds, desk.client.kinds, found.batch.extra_columns)
    if form is ResultForm.CSV:
        return iter(tables.csv_bytes(found.lines(), columns))
    file = _temporary()
    write_results(found.lines(), form, lambda: columns, file)
    return _of_file(file)


def _pages(found: Results) -> BinaryIO:
    """Return a zip of a Markdown file for each row."""
    file, pages = _temporary(), Pages()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as packed:
        for line in found.lines():
            row: dict[str, Any] = orjson.loads(line)
            packed.writestr(pages.name(row), pages.text(row))
    return file


def _documents(desk: Desk, batch_id: str, only: Any) -> BinaryIO:
    """Return a zip of the translated documents. Raises ApiError 400 if the batch has none."""
    if desk.client.results(batch_id).batch.documents is None:
        raise ApiError(400, "this batch has no documents: its rows came as rows, so choose another form")
    file = _temporary()
    with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
        desk.client.write_documents(batch_id, folder, verdicts=None if only is None else [only])
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as packed:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file():
                    packed.write(path, path.relative_to(folder))
    return file


def _temporary() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(prefix="nightpress-"))


def _of_file(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece
