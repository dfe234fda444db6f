"""Shows that rows are the same in any format, encoding and compression."""

import codecs
import csv
import gzip
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from jobs.exchange.formulas import FORMULA

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Row = Mapping[str, Any]
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    # the text is not blank by the rules of any format
    lambda text: any(character.isalnum() for character in text)
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"custom_id": TEXT, "prompt": TEXT},
        optional={
            "system": TEXT,
            "max_tokens": st.integers(1, 32_768),
            "temperature": st.floats(0, 2),
            "seed": st.integers(0, (1 << 63) - 1),
            "stop": st.lists(TEXT, min_size=1, max_size=4, unique=True),
            "metadata": st.dictionaries(st.sampled_from(["note", "place", "=1"]), TEXT, min_size=1),
        },
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row["custom_id"],
)


def jsonl(rows: Sequence[Row]) -> bytes:
    return b"".join(orjson.dumps({"kind": "chat", **row}) + b"\n" for row in rows)


def table(rows: Sequence[Row], delimiter: str) -> bytes:
    target = io.StringIO(newline="")
    names = ["kind", *dict.fromkeys(name for row in rows for name in row)]
    writer = csv.DictWriter(target, names, delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        cells = {
            name: orjson.dumps(cell).decode() if isinstance(cell, list | dict) else cell for name, cell in row.items()
        }
        guards = {name: _with_apostrophe(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
        writer.writerow({"kind": "chat", **guards})
    return target.getvalue().encode()


def _with_apostrophe(cell: str) -> str:
    """A cell as a spreadsheet program exports it, with an apostrophe before what begins like a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell


def openai(rows: Sequence[Row]) -> bytes:
    lines = []
    for row in rows:
        turns = [{"role": "user", "content": row["prompt"]}]
        if "system" in row:
            turns.insert(0, {"role": "system", "content": row["system"]})
        more = {name: value for name, value in row.items() if name not in ("custom_id", "prompt", "system")}
        line = {"custom_id": row["custom_id"], "method": "POST", "url": "/v1/chat/completions"}
        lines.append(orjson.dumps({**line, "body": {"model": "stub", "messages": turns, **more}}) + b"\n")
    return b"".join(lines)


def columns(rows: Sequence[Row]) -> bytes:
    names = dict.fromkeys(name for row in rows for name in row)
    target = io.BytesIO()
    parquet.write_table(
        pyarrow.Table.from_pylist([{"kind": "chat", **dict.fromkeys(names), **row} for row in rows]), target
    )
    return target.getvalue()


WRITERS: Mapping[str, Callable[[Sequence[Row]], bytes]] = {
    "jsonl": jsonl,
    "csv of commas": lambda rows: table(rows, ","),
    "csv of semicolons": lambda rows: table(rows, ";"),
    "csv of tabs": lambda rows: table(rows, "\t"),
    "openai": openai,
    "parquet": columns,
}
WRAPPINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "with its mark": lambda data: codecs.BOM_UTF8 + data,
    "utf-16": lambda data: data.decode().encode("utf-16"),
    "gzip": gzip.compress,
    "zstd": zstd.compress,
}


def as_given(row: Any) -> dict[str, Any]:
    """Return the fields of an accepted row, under the names by which they were written."""
    request = dict(row.request)
    for turn in request.pop("messages", []):
        request["prompt" if turn["role"] == "user" else turn["role"]] = turn["content"]
    own = {name: getattr(row, name) for name in ("custom_id", "max_tokens", "temperature", "seed", "metadata")}
    return {**request, **{name: value for name, value in own.items() if value is not None}}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("writer", WRITERS)
@given(rows=ROWS)
@example(
    rows=[{"custom_id": "'=1", "prompt": "a\rb\n\n=c", "system": '[1]{"', "stop": ["|", "[x]"], "temperature": 1.125}]
)
@example(rows=[{"custom_id": "1.000", "prompt": "\x1ca", "metadata": {"=1": "\t=1"}, "seed": (1 << 63) - 1}])
@example(rows=[{"custom_id": "\N{ZERO WIDTH NO-BREAK SPACE}a", "prompt": "a\0b\x85c\u2028d", "temperature": 5e-324}])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_the_same_rows(take: Callable[..., Any], writer: str, wrapping: str, rows: Sequence[Row]) -> None:
    if writer == "parquet" and wrapping in ("with its mark", "utf-16"):
        return  # a Parquet file is no text
    taken = take(WRAPPINGS[wrapping](WRITERS[writer](rows)))
    assert taken.faults == []
    assert [as_given(row) for row in taken.rows] == list(rows)
