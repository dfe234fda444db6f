"""Shows that exports of a spreadsheet program are read. The files are those of exports/, which LibreOffice made of one sheet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RequestError

FOLDER = Path(__file__).parent / "exports"
PROMPTS = [
    'Caf\xe9 "Zur Post" \N{EN DASH} was kostet \N{EURO SIGN}5, was \N{EURO SIGN}7;50?',
    "Zwei\nZeilen, mit Komma",
    "'tis quoted, O'Neill's",
    "Genug.",
]
ROWS = [
    ("007", PROMPTS[0], 120, 0.7, ["Ende", "Schluss"], {"note": "=Notiz"}),
    ("b-2", PROMPTS[1], 1_000, 1.25, None, None),
    ("c-3", PROMPTS[2], 60, 1.0, None, {"note": "Spalte; mit Semikolon"}),
    ("d-4", PROMPTS[3], 12_500, 0.125, None, {"note": "1.000"}),
]
"""The rows of the sheet."""
ROUNDED = [*ROWS[:3], ("d-4", PROMPTS[3], 12_500, 0.13, None, {"note": "1.000"})]
"""The rows as the program shows them, with two decimals."""
TWO_WAYS = [(3, "wrong_type", "max_tokens"), (6, "wrong_type", "max_tokens")]
"""The faults of `1,000` and `12.500`. The meaning of such a number depends on the locale, which nobody knows."""
OTHER_QUOTES = "en-comma-apostrophes"


@pytest.mark.parametrize(
    ("name", "rows", "faults"),
    [
        pytest.param("en-comma-utf8-raw", ROWS, [], id="English, numbers as they are"),
        pytest.param("en-semicolon-cp1252-raw", ROWS, [], id="English, semicolons, Windows-1252"),
        pytest.param("de-comma-utf8-raw", ROWS, [], id="German, decimal commas in quotes"),
        pytest.param("de-tab-utf16-raw", ROWS, [], id="German, decimal commas, tabs, UTF-16"),
        pytest.param("fr-semicolon-utf8", ROUNDED, [], id="French, spaces part thousands"),
        pytest.param("ch-semicolon-utf8", ROUNDED, [], id="Swiss, apostrophes part thousands"),
        pytest.param("en-comma-utf8", ROUNDED, TWO_WAYS, id="English, numbers as shown"),
        pytest.param("en-comma-utf8-quoted", ROUNDED, TWO_WAYS, id="English, all text quoted"),
        pytest.param("en-comma-utf8-from-xlsx", ROUNDED, TWO_WAYS, id="English, by way of a workbook"),
        pytest.param("en-tab-utf16", ROUNDED, TWO_WAYS, id="English, tabs, UTF-16"),
        pytest.param("de-semicolon-cp1252", ROUNDED, TWO_WAYS, id="German, numbers as shown, Windows-1252"),
        pytest.param("de-comma-utf8", ROUNDED, TWO_WAYS, id="German, numbers as shown, commas"),
        pytest.param("en-pipe-utf8", ROUNDED, TWO_WAYS, id="English, bars"),
    ],
)
def test_an_export_has_the_rows_of_its_sheet(take: Callable[..., Any], name: str, rows: Any, faults: Any) -> None:
    taken = take((FOLDER / f"{name}.csv").read_bytes())
    assert (taken.accepted.batch.rows, taken.faults) == (4, faults)
    bad = {{3: "b-2", 6: "d-4"}[line] for line, _, _ in faults}
    assert [fault.custom_id for fault in taken.accepted.faults] == sorted(bad)
    found = [
        (row.custom_id, row.request["prompt"], row.max_tokens, row.temperature, row.request.get("stop"), row.metadata)
        for row in taken.rows
    ]
    assert found == [row for row in rows if row[0] not in bad]


def test_an_export_with_other_quotes_is_refused_as_a_whole(take: Callable[..., Any]) -> None:
    with pytest.raises(RequestError, match="quoted with apostrophes: write the file with double quotes"):
        take((FOLDER / f"{OTHER_QUOTES}.csv").read_bytes())


def test_each_export_is_shown_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.stem}"' in text for path in FOLDER.glob("*.csv"))
