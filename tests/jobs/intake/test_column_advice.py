"""Shows jobs/intake/column_advice.py: the advice about a column that is no field, and about a field that has no column."""

from collections.abc import Sequence
from typing import Any

import pytest

from jobs.formats.json_lines import Finding
from jobs.formats.record import Record
from jobs.intake.column_advice import advised, column_for, field_for, of_fields, quoted, suggested

FIELDS = ["topic", "keywords", "audience", "language", "target_words", "custom_id", "kind", "model", "metadata"]


@pytest.mark.parametrize(
    ("column", "field"),
    [
        *(
            (name, "custom_id")
            for name in ("id", "ID", "sku", "SKU", "handle", "Handle", "Product ID", "custom-id", "Key")
        ),
        *((name, "topic") for name in ("Title", "Name", "Keyword", "Top queries", "item_name", "Topik")),
        *((name, "keywords") for name in ("Tags", "Keywords ", "keyword_list")),
        *((name, "language") for name in ("locale", "Lang")),
        *((name, None) for name in ("Notes", "Price", "#")),
    ],
)
def test_the_field_that_a_column_means(column: str, field: str | None) -> None:
    assert field_for(column, FIELDS) == field


@pytest.mark.parametrize(
    ("columns", "column"),
    [
        pytest.param(["Name", "Title"], "Title", id="the likelier name"),
        pytest.param(["Keyword", "Volume"], "Keyword", id="keywords of a tool"),
        pytest.param(["Price"], None, id="none"),
    ],
)
def test_the_column_of_a_field(columns: Sequence[str], column: str | None) -> None:
    assert column_for("topic", columns) == column


def test_options_are_suggested_as_they_are_typed() -> None:
    assert suggested(["Top queries"], FIELDS, ["topic"]) == "--map 'topic=Top queries'"
    assert suggested(["Price"], FIELDS, ["topic"]) == "--map topic=COLUMN"
    assert suggested(["x"], ["metadata"], []) == "--map FIELD=COLUMN"
    assert quoted("it's") == "'it'\\''s'"
    sentence = of_fields("article", ["topic"], FIELDS, ["ID", "Title", "language"])
    assert sentence.startswith("The fields of article are topic (needed), keywords, ")
    assert "such as --map topic=Title; --extra metadata takes" in sentence


def advice(values: dict[str, object], *findings: Finding, **more: Any) -> list[str]:
    record = Record(1, b"", values)._replace(**more)
    return [finding.message for finding in advised(findings, record, "article", FIELDS)]


def test_advice_about_a_row() -> None:
    unknown = Finding("unknown_field", "id", "?")
    assert advice({"id": 1, "topic": "a"}, unknown)[0].startswith(
        "article has no such field: did you mean custom_id? Then --map custom_id=id; --extra metadata"
    )
    (index,) = advice({"__index_level_0__": 1}, Finding("unknown_field", "__index_level_0__", "?"))
    assert index.startswith("it looks like the index of a data frame: write the file without it (index=False)")
    missing = Finding("missing_field", "topic", "?")
    title = Finding("unknown_field", "Title", "?")
    assert (
        advice({"Title": "a"}, missing, title)[0]
        == "article needs it, and the row has Title: --map topic=Title" + " takes it from there"
    )
    assert advice({}, missing, names_in_file={"topic": "Title"}, columns=("Titel",)) == [
        "the row has no 'Title', from which --map takes topic: did you mean Titel?"
    ]
    assert advice({}, missing, names_in_file={"topic": "Title"}, columns=("Title", "Titel")) == [
        "the row has nothing in 'Title', from which --map takes topic: fill it in, or leave the row out"
    ]
    (wrapped,) = advice({"data": [{}]}, missing, Finding("unknown_field", "data", "?"))
    assert wrapped.startswith("it is a list of objects, which may be the rows: jq -c '.data[]' FILE")
    assert advice({"x": 1}, missing, Finding("wrong_type", "x", "as it is")) == ["?", "as it is"]
