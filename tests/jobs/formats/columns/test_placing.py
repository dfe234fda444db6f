"""Shows jobs/formats/columns/placing.py: fields come from the chosen columns, and other columns are kept, refused or left out."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from jobs.formats.columns.placing import Placed, Placer
from jobs.intake.column_options import columns_of

Take = Callable[..., Any]
ARTICLE = {"kind": "article"}


def jsonl(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def table(*rows: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), target)
    return target.getvalue()


def csv(*rows: dict[str, Any]) -> bytes:
    return "".join(f"{','.join(map(str, cells))}\n" for cells in (rows[0], *(row.values() for row in rows))).encode()


PRODUCT = {"product": {"title": "Tea", "price": 3, "tags": ["a", "b"]}, "id": 7}


@pytest.mark.parametrize("write", [jsonl, table, csv])
def test_fields_come_from_other_columns_in_every_format(take: Take, write: Callable[..., bytes]) -> None:
    data = write({"Title": "Tea", "SKU": "t1", "Notes": "new"}, {"Title": "Mug", "SKU": "m1", "Notes": "old"})
    choice = columns_of(["topic=Title", "custom_id=SKU"], "metadata")
    taken = take(data, columns=choice, **ARTICLE)
    assert taken.faults == []
    assert [(row.custom_id, row.request, row.metadata) for row in taken.rows] == [
        ("t1", {"topic": "Tea"}, {"Notes": "new"}),
        ("m1", {"topic": "Mug"}, {"Notes": "old"}),
    ]
    assert taken.accepted.batch.extra_columns == ("Notes",)
    without = take(data, columns=columns_of(["topic=Title", "custom_id=SKU"]), **ARTICLE)
    assert [(code, field) for _, code, field in without.faults] == [("unknown_field", "Notes")] * 2


@pytest.mark.parametrize(
    ("row", "mapped", "extra", "request_", "metadata"),
    [
        pytest.param(PRODUCT, ["topic=product.title"], "none", {"topic": "Tea"}, None, id="a key within another"),
        pytest.param(
            PRODUCT,
            ["topic=product.title", "keywords=product.tags"],
            "metadata",
            {"topic": "Tea", "keywords": ["a", "b"]},
            {"product": {"price": 3}, "id": 7},
            id="the rest of an object is kept",
        ),
        pytest.param(
            PRODUCT,
            ["topic=product.title"],
            "product.price",
            {"topic": "Tea"},
            {"product.price": 3},
            id="a key is kept",
        ),
        pytest.param(
            {"product": {"title": "Tea"}}, ["topic=product.title"], "", {"topic": "Tea"}, None, id="nothing is left"
        ),
        pytest.param(
            {"items": [{"name": "Tea"}, {"name": "Mug"}]},
            ["topic=items.1.name"],
            "none",
            {"topic": "Mug"},
            None,
            id="an item of a list",
        ),
        pytest.param(
            {"a.b": "Tea", "a": {"b": "Mug"}},
            ["topic=a.b"],
            "*",
            {"topic": "Tea"},
            {"a": {"b": "Mug"}},
            id="a key with a point goes first",
        ),
        pytest.param(
            {"topic": "own", "title": "Tea"},
            ["topic=title"],
            "*",
            {"topic": "Tea"},
            {"topic": "own"},
            id="a column of the field's name is another column then",
        ),
        pytest.param(
            {"title": "Tea"},
            ["topic=title", "audience=title"],
            "",
            {"topic": "Tea", "audience": "Tea"},
            None,
            id="one column for two fields",
        ),
        pytest.param(
            {"title": "Tea", "by": "Ana"},
            ["topic=title"],
            "title,by",
            {"topic": "Tea"},
            {"title": "Tea", "by": "Ana"},
            id="a column that a field is taken from is kept as well",
        ),
        pytest.param(
            {"topic": "Tea", "model": "X-200", "priority": "High", "kind": "Pot"},
            [],
            "model,priority,kind",
            {"topic": "Tea"},
            {"model": "X-200", "priority": "High", "kind": "Pot"},
            id="a column that is no field, though it has a field's name",
        ),
        pytest.param(
            {"topic": "Tea", "by": "Ana", "metadata": {"x": 1}},
            ["metadata.author=by"],
            "",
            {"topic": "Tea"},
            {"x": 1, "author": "Ana"},
            id="a value of the metadata",
        ),
        pytest.param({"topic": "Tea", "title": None}, [], "", {"topic": "Tea"}, None, id="null is absent"),
        pytest.param(
            {"topic": None, "title": "Tea"}, ["topic=title"], "none", {"topic": "Tea"}, None, id="null is no rival"
        ),
        pytest.param(
            {"topic": None, "title": "Tea"}, ["topic=title"], "", {"topic": "Tea"}, None, id="null is no rival at all"
        ),
    ],
)
def test_values_are_placed(
    take: Take, row: dict[str, Any], mapped: list[str], extra: str, request_: dict[str, Any], metadata: Any
) -> None:
    taken = take(jsonl(row), columns=columns_of(mapped, extra), **ARTICLE)
    assert taken.faults == []
    assert (taken.rows[0].request, taken.rows[0].metadata) == (request_, metadata)


@pytest.mark.parametrize(
    ("row", "mapped", "extra", "fault"),
    [
        pytest.param({"topic": "a", "title": "b"}, ["topic=title"], "", ("unknown_field", "topic"), id="rivals"),
        pytest.param(
            {"topic": "a"}, ["topic=title"], "", ("unknown_field", "topic"), id="a rival takes no one's place"
        ),
        pytest.param(PRODUCT, ["topic=product.title"], "", ("unknown_field", "product"), id="the rest of an object"),
        pytest.param({"Titel": "a"}, ["topic=Title"], "none", ("missing_field", "Title"), id="no such key"),
        pytest.param({"title": 5}, ["topic=title"], "", ("wrong_type", "title"), id="a wrong type, by its own name"),
        pytest.param({"x": {"y": ""}}, ["topic=x.y"], "", ("out_of_range", "x.y"), id="out of range, by its path"),
        pytest.param(
            {"topic": "a", "x": 1, "metadata": {"x": 2}}, [], "*", ("duplicate_key", "metadata.x"), id="in both"
        ),
        pytest.param({"topic": "a", "metadata": 5, "x": 1}, [], "*", ("wrong_type", "metadata"), id="no object"),
        pytest.param({"t": "a"}, ["text=t"], "*", ("missing_field", "topic"), id="a field of another kind"),
    ],
)
def test_values_that_cannot_be_placed_are_faults(
    take: Take, row: dict[str, Any], mapped: list[str], extra: str, fault: tuple[str, str]
) -> None:
    ((_, code, field),) = take(jsonl(row), columns=columns_of(mapped, extra), **ARTICLE).faults
    assert (code, field) == fault


def test_a_column_of_a_table_is_no_field_if_it_is_to_be_kept(take: Take) -> None:
    data = b"Topic,Model,KIND,Priority\nTea,X-200,Pot,High\n"
    assert [code for _, code, _ in take(data, **ARTICLE).faults] == ["unknown_kind"]
    taken = take(data, columns=columns_of(extra="model,kind,priority"), **ARTICLE)
    assert [(row.kind, row.metadata) for row in taken.rows] == [
        ("article", {"Model": "X-200", "KIND": "Pot", "Priority": "High"})
    ]


def test_a_field_that_the_rows_kind_lacks_is_another_column(take: Take) -> None:
    """`format` is a field of a translation. An article lacks this field, so there it is an ordinary column."""
    data = b"kind,Format,topic,text,source_language,target_language\narticle,pdf,a,,,\ntranslation,plain,,b,en,de\n"
    assert take(data).faults == [(2, "unknown_field", "Format")]
    taken = take(data, columns=columns_of(extra="*"))
    assert [(row.request.get("format"), row.metadata) for row in taken.rows] == [
        (None, {"Format": "pdf"}),
        ("plain", None),
    ]


def test_a_custom_id_that_comes_again_is_named_as_in_the_file(take: Take) -> None:
    data = b"SKU,topic\na,Tea\na,Mug\n"
    assert take(data, columns=columns_of(["custom_id=SKU"]), **ARTICLE).faults == [(3, "duplicate_custom_id", "SKU")]


def test_a_row_without_a_cell_in_its_column_does_not_take_the_column_of_the_fields_name(take: Take) -> None:
    data = b"Title,topic\nTea,x\n,Mug\n"
    for extra, codes in (("", ["unknown_field", "unknown_field"]), ("none", ["missing_field"])):
        taken = take(data, columns=columns_of(["topic=Title"], extra), **ARTICLE)
        assert [code for _, code, _ in taken.faults] == codes


def test_the_kind_of_a_row_may_come_from_a_column(take: Take) -> None:
    data = b"Type,Title,Network\nArticle,a,\nSocial post,b,Instagram\n"
    choice = columns_of(["kind=Type", "topic=Title", "platform=Network"])
    assert [(row.kind, row.request) for row in take(data, columns=choice).rows] == [
        ("article", {"topic": "a"}),
        ("social_post", {"topic": "b", "platform": "instagram"}),
    ]


def test_an_object_with_a_url_and_a_body_is_no_openai_batch_if_a_field_is_mapped(take: Take) -> None:
    row = {"url": "https://a.example", "body": "long", "headline": "Tea"}
    taken = take(jsonl(row), columns=columns_of(["topic=headline"], "url"), **ARTICLE)
    assert [(one.request, one.metadata) for one in taken.rows] == [({"topic": "Tea"}, {"url": "https://a.example"})]


def test_what_is_remembered_does_not_grow_with_the_file() -> None:
    """Each row has a kind and a column that no other row has."""
    placer = Placer(columns_of(extra="*"), AnyFields(), is_table=True)
    for n in range(3_000):
        assert isinstance(placer.placed({"kind": f"k{n}", f"c{n}": "x"}), Placed)
        placer.placed({f"d{n}": "x"})
    held = [len(placer._schemas), len(placer._known), *(len(names) for names in placer._targets.values())]
    assert (max(held) <= 2_000, len(placer._targets) <= 50, len(placer._schemas) <= 50) == (True, True, True)


class AnyFields:
    """One field of every kind."""

    known = ("kind", "topic")

    def of_kind(self, name: str | None) -> dict[str, Any]:
        del name
        return {"kind": {}, "topic": {}}

    def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
        del columns, kind
        return ""
