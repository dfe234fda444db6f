"""Shows jobs/formats/columns/names.py: the column that a name stands for."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from jobs.errors import RequestError
from jobs.formats.columns.names import find_column, listed, rows_within
from jobs.intake.column_options import columns_of

Take = Callable[..., Any]
ARTICLE = {"kind": "article"}


def csv(*rows: dict[str, Any]) -> bytes:
    return "".join(f"{','.join(map(str, cells))}\n" for cells in (rows[0], *(row.values() for row in rows))).encode()


def table(*rows: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), target)
    return target.getvalue()


@pytest.mark.parametrize("write", [csv, table])
def test_a_column_that_a_table_lacks_is_an_error_that_names_the_likest(take: Take, write: Callable[..., bytes]) -> None:
    data = write({"Titel": "Tea", "Notes": "x"})
    with pytest.raises(
        RequestError, match=r"--map topic=Title: .* no column 'Title': did you mean Titel\? Its columns"
    ):
        take(data, columns=columns_of(["topic=Title"], "none"), **ARTICLE)
    with pytest.raises(RequestError, match="--extra Nots: the file has no column 'Nots': did you mean Notes"):
        take(data, columns=columns_of(["topic=Titel"], "Nots"), **ARTICLE)


def test_names_in_other_spellings() -> None:
    assert find_column("top queries", ["Top Queries", "Clicks"]) == "Top Queries"
    assert find_column("sku", ["SKU", "s-k-u"]) is None
    assert find_column("#", ["#", "##"]) == "#"
    assert listed(["a, b", "c\nd", *"efghijklmnopqrstuvwxyz"]).startswith('"a, b", c d, e, f')
    assert rows_within("my rows").startswith("it is a list of objects, which may be the rows: jq -c '.\"my rows\"[]'")
