"""The rows of a batch, chosen by verdict, code, kind and metadata, a page of them at a time; and all of one row."""

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from jobs.gateway.access import AtDesk
from jobs.gateway.page.batches import batch_id_of
from jobs.gateway.page.reading import Reading, short
from jobs.gateway.page.rendering import page
from jobs.gateway.page.visitors import HOME, PageRoute, Viewer

router = APIRouter(prefix="/page/batches/{batch_id}", include_in_schema=False, route_class=PageRoute)

A_PAGE: Final = 50
"""A page shows this many rows."""

LOOKED_AT: Final = 20_000
"""For one page at most this many rows are looked at. If fewer of them were chosen, a link leads on from there."""

_NUMBER: Final = re.compile(rb'"row":([0-9]{1,18})[,}]')
_NUMBER_WITHIN: Final = 300
"""The row's number stands in this many bytes at the beginning of a line, before any text of a user or a model."""

Text = Annotated[str, Query(max_length=600)]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are shown. An empty text, or None, does not limit them. `metadata` is a name, or `name=value`."""

    status: Literal["", "completed", "failed"] = ""
    verdict: Literal["", "fit", "review", "failed"] = ""
    code: str = ""
    kind: str = ""
    metadata: str = ""

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a published row is shown."""
        return (
            (not self.verdict or _verdict(row) == self.verdict)
            and (not self.kind or row.get("kind") == self.kind)
            and (not self.code or self.code in _codes(row))
            and (not self.metadata or self._has_metadata(row))
        )

    @property
    def query(self) -> str:
        """The filter as the query of an address."""
        fields = {name: getattr(self, name) for name in ("status", "verdict", "code", "kind", "metadata")}
        return urlencode({name: value for name, value in fields.items() if value})

    @property
    def wants(self) -> Sequence[bool]:
        """Which files of the batch have rows to show: those of the completed rows (False), those of the others (True)."""
        if self.verdict in ("fit", "review") or self.status == "completed":
            return () if self.verdict == "failed" or self.status == "failed" else (False,)
        return (True,) if self.verdict == "failed" or self.status == "failed" else (False, True)

    def _has_metadata(self, row: Mapping[str, Any]) -> bool:
        name, is_pair, value = self.metadata.partition("=")
        held = row.get("metadata")
        if not isinstance(held, Mapping) or name.strip() not in held:
            return False
        found = held[name.strip()]
        return not is_pair or (found if isinstance(found, str) else orjson.dumps(found).decode()) == value.strip()


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows to show, and the number after which the next page goes on; None if there are no more."""

    rows: Sequence[Mapping[str, Any]]
    after: int | None


@router.get("/rows")
def rows(
    batch_id: str,
    request: Request,
    desk: AtDesk,
    visitor: Viewer,
    status: Literal["", "completed", "failed"] = "",
    verdict: Literal["", "fit", "review", "failed"] = "",
    code: Text = "",
    kind: Text = "",
    metadata: Text = "",
    find: Text = "",
    after: Annotated[int, Query(ge=-1, le=1 << 53)] = -1,
) -> Response:
    """Show the chosen rows that have an outcome, in the order of the file."""
    shown, own_id = batch_id_of(desk, visitor, batch_id)
    if find.strip():
        number = desk.client.find_row(own_id, find.strip()).row
        return RedirectResponse(f"{HOME}/{quote(batch_id)}/rows/{number}", 303)
    chosen = Filter(status, verdict, code.strip(), kind.strip(), metadata.strip())
    files = [desk.client.results(own_id, errors=errors).lines() for errors in chosen.wants]
    found = one_page(merged(files), chosen, after)
    brief = [{**row, "brief": short(row), "codes": _codes(row), "judged": _verdict(row)} for row in found.rows]
    return page(
        "rows.html", visitor=visitor, batch=shown, rows=brief, filter=chosen, after=found.after, is_first=after < 0
    )


@router.get("/rows/{row}")
def row(batch_id: str, row: Annotated[int, Path(ge=0, le=1 << 53)], desk: AtDesk, visitor: Viewer) -> Response:
    """Show all of one row: what was asked for, what came of it, its attempts and its receipt."""
    shown, own_id = batch_id_of(desk, visitor, batch_id)
    history = desk.client.row(own_id, row)
    reading = Reading.of(history, desk.client.kinds)
    rows = 0 if shown.one is None else shown.one.rows
    return page(
        "row.html",
        visitor=visitor,
        batch=shown,
        row=history,
        reading=reading,
        rows=rows,
        currency=desk.settings.prices.currency,
    )


def merged(files: Sequence[Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of files, each in the order of its rows, in the order of the rows, with their numbers."""
    return heapq.merge(*(((number_of(line), line) for line in lines) for lines in files), key=lambda pair: pair[0])


def number_of(line: bytes) -> int:
    """Return the row's number of a published line, without parsing the line where that can be."""
    found = _NUMBER.search(line, 0, _NUMBER_WITHIN)
    return int(found[1]) if found else int(orjson.loads(line)["row"])


def one_page(lines: Iterator[tuple[int, bytes]], chosen: Filter, after: int) -> RowPage:
    """Return the first chosen rows behind the row `after`."""
    found: list[Mapping[str, Any]] = []
    looked_at, last = 0, after
    for number, line in lines:
        if number <= after:
            continue
        if len(found) == A_PAGE or looked_at == LOOKED_AT:
            return RowPage(found, last)
        looked_at, last = looked_at + 1, number
        row = orjson.loads(line)
        if chosen.takes(row):
            found.append(row)
    return RowPage(found, None)


def _verdict(row: Mapping[str, Any]) -> str:
    return "failed" if row.get("status") == "failed" else str(row.get("verdict") or "")


def _codes(row: Mapping[str, Any]) -> list[str]:
    """Return the codes of a row: that of its error, and those of its findings, each once."""
    error = row.get("error")
    codes = [str(error.get("code", ""))] if isinstance(error, Mapping) else []
    findings = [one for one in row.get("findings") or () if isinstance(one, Mapping)]
    return list(dict.fromkeys([*codes, *(str(one.get("code", "")) for one in findings)]))
