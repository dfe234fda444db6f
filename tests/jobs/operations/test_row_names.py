"""Shows jobs/operations/row_names.py: a row is found by its number or its custom_id, with a remark if another may be meant."""

import io
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.client import Client
from jobs.errors import RequestError
from jobs.settings import Settings

IDS = ("tea", "7", "0", "id:x", "007", "日本", 'a"b', "c d", "-1", "1e3", "1,000", None)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.chdir(tmp_path)
    return Client(Settings(store_url=str(tmp_path / "store"), model="stub"))


@pytest.fixture
def batch(client: Client) -> str:
    """Rows 0 to 11 have the ids of IDS. Rows 12 and 13 are refused for the id of row 0, rows 14 to 16 for a wrong field."""
    rows: list[dict[str, Any]] = [
        {"kind": "chat", "prompt": 'Hi "custom_id":"trap"', "custom_id": name} for name in IDS
    ]
    rows += [{"kind": "chat", "prompt": "Hi", "custom_id": "tea"}] * 2
    rows += [{"kind": "chat", "promt": "Hi", "custom_id": name} for name in ("alone", "both", "both")]
    rows += [{"kind": "chat", "prompt": "Hi", "metadata": {"custom_id": "inner"}}]
    return client.enqueue(io.BytesIO(b"\n".join(map(orjson.dumps, rows)))).id


@pytest.mark.parametrize(
    ("typed", "row", "remark"),
    [
        pytest.param(
            "tea", 0, "rows 12, 13 with the same custom_id, which intake refused", id="one that stands three times"
        ),
        pytest.param("id:tea", 0, "rows 12, 13", id="the same with id:"),
        pytest.param("日本", 5, "", id="Japanese"),
        pytest.param('a"b', 6, "", id="a quote in it"),
        pytest.param("c d", 7, "", id="a blank in it"),
        pytest.param("3", 3, "", id="a number"),
        pytest.param(3, 3, "", id="a number of a program"),
        pytest.param(
            "7", 7, "7 is the number of a row; the custom_id 7 is that of row 1: id:7 means that one", id="both"
        ),
        pytest.param("id:7", 1, "", id="the custom_id of these"),
        pytest.param("0", 0, "the custom_id 0 is that of row 2", id="zero"),
        pytest.param("id:0", 2, "", id="the custom_id zero"),
        pytest.param("007", 4, "", id="zeros before a number make a custom_id"),
        pytest.param("-1", 8, "", id="a minus"),
        pytest.param("1e3", 9, "", id="an exponent"),
        pytest.param("1,000", 10, "", id="a comma"),
        pytest.param("id:id:x", 3, "", id="a custom_id that begins with id:"),
        pytest.param("alone", 14, "", id="of a refused row"),
        pytest.param("15", 15, "", id="the number of a refused row"),
    ],
)
def test_a_row_is_found_by_what_a_person_types(
    client: Client, batch: str, typed: str | int, row: int, remark: str
) -> None:
    found = client.find_row(batch, typed)
    assert found.row == row
    assert remark in found.remark
    assert bool(found.remark) == bool(remark)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        pytest.param("99", "has no row 99: its rows are 0 to 17$", id="no such number"),
        pytest.param("9" * 30, "no row of .* the custom_id", id="a number beyond all"),
        pytest.param("both", "several rows of .* name one of the rows 15, 16", id="two refused rows"),
        pytest.param("te", "no row of .* has the custom_id 'te': did you mean tea", id="misspelt"),
        pytest.param("x", "has the custom_id 'x'", id="only id:x is there, and that means x"),
        pytest.param("id:x", "has the custom_id 'x'", id="id: is taken off once"),
        pytest.param("trap", "has the custom_id 'trap'", id="in a prompt"),
        pytest.param("inner", "has the custom_id 'inner'", id="in the metadata"),
        pytest.param("\ud800", "has the custom_id", id="half a character"),
        pytest.param("\uff13", "the custom_id", id="a wide digit is no number"),
    ],
)
def test_a_row_that_is_not_there_is_said(client: Client, batch: str, typed: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        client.find_row(batch, typed)


def test_a_number_beyond_the_rows_that_is_a_custom_id_is_said(client: Client) -> None:
    batch = client.enqueue(io.BytesIO(b'{"kind":"chat","prompt":"Hi","custom_id":"1001"}')).id
    with pytest.raises(RequestError, match=r"has no row 1001: .*; the custom_id 1001 is that of row 0: id:1001 means"):
        client.row(batch, "1001")
    assert client.row(batch, "id:1001").row == 0


@pytest.mark.parametrize(
    "typed", ["-2", "+1", "01", " 1", "1.0", "99.5", "-0", "\N{ARABIC-INDIC DIGIT ONE}", "\N{MINUS SIGN}1"]
)
def test_what_looks_like_a_number_and_is_none_is_answered_with_the_numbers(
    client: Client, batch: str, typed: str
) -> None:
    with pytest.raises(
        RequestError, match=f"the number or the custom_id {re.escape(repr(typed))}: its rows are 0 to 17"
    ):
        client.find_row(batch, typed)


@pytest.mark.parametrize("typed", ["", "id:"])
def test_an_empty_name_is_refused(client: Client, batch: str, typed: str) -> None:
    with pytest.raises(RequestError, match="the name of a row is empty: its rows are 0 to 17"):
        client.find_row(batch, typed)
