"""Shows jobs/operations/corrections.py: refused rows are given in the format in which they came, and can be enqueued again."""

import csv
import io
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow
import pytest
from pyarrow import parquet

from jobs.batches.batch import BatchPaths
from jobs.client import Client
from jobs.errors import RequestError, StoreDamaged
from jobs.intake.refusals import AllRefused
from jobs.operations.corrections import corrections
from jobs.operations.enqueue_options import EnqueueOptions
from jobs.printable import one_line
from jobs.settings import Settings

GOOD = b'{"kind":"chat","prompt":"Hi","custom_id":"a"}\n'
LINE = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"Hi"}]}}\n'


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.chdir(tmp_path)
    return Client(Settings(store_url=str(tmp_path / "store"), model="stub"))


def exported(client: Client, data: bytes, **options: Any) -> tuple[str, bytes]:
    """Enqueue a file. Return the batch's id, and the file to correct."""
    batch = client.enqueue(io.BytesIO(data), **options).id
    target = io.BytesIO()
    client.corrections(batch).write(target)
    return batch, target.getvalue()


def all_refused(client: Client, data: bytes, options: EnqueueOptions) -> int:
    """Enqueue a file, and check that every row is refused. Return the number of its rows."""
    with pytest.raises(AllRefused) as raised:
        client.enqueue(io.BytesIO(data), **options)
    return raised.value.total


HOSTILE: Mapping[str, tuple[bytes, EnqueueOptions, list[str]]] = {
    "json lines": (
        GOOD
        + b'{"kind":"chat","promt":"x"}\nnonsense\n[1]\nnull\n{"kind":"chat","prompt":"a","prompt":"b"}\n{}\n'
        + b'{"kind":"chat","prompt":"\xff"}\n{"kind":"chat","prompt":"'
        + b"x" * (1 << 20)
        + b'"}\n'
        + b'{ "nightpress_error" : "old \\" x", "kind":"chat","temperature":9,"prompt":"a"}\n'
        + b'{"kind":"chat","temperature":9,"prompt":"a","nightpress_error":"moved"}\n'
        + b'{"kind":"chat","prompt":"x","nightpress_raw":"not yet"}\n',
        {},
        [
            "duplicate_key",
            "not_an_object",
            "not_json",
            "not_utf8",
            "out_of_range",
            "row_too_large",
            "unknown_field",
            "unknown_kind",
        ],
    ),
    "objects over several lines": (
        b'[\n {"kind":"chat",\n  "prompt":"ok"},\r\n {"kind":"chat",\n  "promp":"no"},\n {"seed":"x"}\n]\n',
        {"kind": "chat"},
        ["unknown_field", "wrong_type"],
    ),
    "openai": (
        LINE + b"oops\n" + LINE.replace(b"chat/completions", b"images") + LINE.replace(b"POST", b"GET"),
        {},
        ["not_json", "out_of_range", "unknown_url"],
    ),
    "csv of a European spreadsheet": (
        "Titel;kind;seed;Notiz\r\nTee;article;1;\r\nGrün;article;x;\r\n=1+1;article;y;\r\n'=1+1;article;y;\r\na;b;c;d;e\r\n"
        '"zwei\nZeilen";article;z;\r\n日本;article;x;"4;5"\r\n"open;article;1;9\r\n'.encode(),
        {"map": {"topic": "Titel"}},
        ["not_csv", "wrong_type"],
    ),
    "csv of one column": (b'topic\nGood tea\n"never\nBetter, tea\n', {"kind": "article"}, ["not_csv"]),
    "csv without a header": (b"Tea,1\nMilk,x\n", {"kind": "article", "header": ("topic", "seed")}, ["wrong_type"]),
    "csv with tabs": (b"topic\tseed\nTea\t1\nMilk, cold\tx\n", {"kind": "article"}, ["wrong_type"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_nobody_has_corrected_is_refused_for_the_same_reasons(client: Client, name: str) -> None:
    data, options, codes = HOSTILE[name]
    batch, first = exported(client, data, **options)
    again: EnqueueOptions = {**options}
    again.pop("header", None)
    count = all_refused(client, first, again)
    assert count == client.corrections(batch).count
    assert all(f": {code}" in first.decode("utf-8-sig") for code in codes)
    if not name.startswith("csv"):
        _, second = exported(client, (LINE if name == "openai" else GOOD) + first, **again)
        assert second.count(b"nightpress_error") == second.count(b"\n") == count, "an earlier reason is replaced"
        assert (b'"prompt":"a","prompt":"b"' in second) == (name == "json lines"), "and the rest of its text stays"
    else:
        head, _, rest = first.partition(b"\n")
        _, second = exported(client, head + b"\n" + b"\n".join([good_cells(head), rest]), **again)
        assert second.partition(b"\n")[0] == head


def good_cells(head: bytes) -> bytes:
    """Return a good row under the header of a CSV to correct."""
    given = {"topic": "Tea", "Titel": "Tea", "kind": "article", "seed": "1"}
    delimiter = next(one for one in ",;\t" if one in head.decode("utf-8-sig"))
    return delimiter.join(
        given.get(name.strip('"'), "") for name in head.decode("utf-8-sig").strip().split(delimiter)
    ).encode()


def corrected_lines(text: str) -> str:
    return text.replace('"promt"', '"prompt"').replace('"nightpress_raw":"nonsense"', '"kind":"chat","prompt":"y"')


def test_json_lines_that_were_corrected_are_accepted(client: Client) -> None:
    data = GOOD + b'{"kind":"chat","promt":"x"  ,"metadata":{"a":1.50}}\nnonsense\n'
    _, first = exported(client, data)
    assert first.splitlines()[0].endswith(b'"kind":"chat","promt":"x"  ,"metadata":{"a":1.50}}'), "its text stays"
    again = client.enqueue(io.BytesIO(corrected_lines(first.decode()).encode()))
    assert (again.rows, again.refused) == (2, 0)
    emptied = b'{"kind":"chat","prompt":"y","nightpress_error":"not_json","nightpress_raw":""}\n'
    assert client.enqueue(io.BytesIO(emptied)).refused == 0
    with_columns = client.enqueue(io.BytesIO(emptied), extra=("metadata",), map={"prompt": "prompt"})
    row = client.row(with_columns, 0).request
    assert row is not None
    assert "metadata" not in row, "neither is taken along"


def test_a_csv_that_was_corrected_is_accepted(client: Client) -> None:
    data, options, _ = HOSTILE["csv of a European spreadsheet"]
    _, first = exported(client, data, **options)
    rows = list(csv.reader(io.StringIO(first.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert rows[0] == ["nightpress_error", "nightpress_raw", "Titel", "kind", "seed", "Notiz"]
    assert [row[2] for row in rows[1:5]] == ["Grün", "'=1+1", "'=1+1", "a"], "no cell is a formula"
    for row in rows[1:]:
        row[1:] = ["", row[2] if len(row) > 2 else row[1], "article", "7", "", ""]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";").writerows(rows)
    again = client.enqueue(io.BytesIO(text.getvalue().encode()), **options)
    assert (again.rows, again.refused) == (7, 0)
    found = [client.row(again, row).request for row in range(7)]
    topics = [row["request"]["topic"] for row in found if row is not None]
    assert topics == ["Grün", "=1+1", "=1+1", "a", "zwei\nZeilen", "日本", '"open;article;1;9']


def test_parquet_comes_back_as_parquet(client: Client, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {
        "topic": ["Tea", "Milk", None],
        "kind": ["article"] * 3,
        "seed": [1, -1, 2],
        "keywords": [["a"], ["b"], None],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "in.parquet")
    batch = client.enqueue(tmp_path / "in.parquet")
    with (tmp_path / "fix.parquet").open("wb") as target:
        client.corrections(batch).write(target)
    found = parquet.read_table(tmp_path / "fix.parquet").to_pylist()
    assert [(row["topic"], row["seed"], row["keywords"]) for row in found] == [("Milk", -1, ["b"]), (None, 2, None)]
    assert [row["nightpress_error"].partition(" (")[0] for row in found] == [
        "line 2: out_of_range",
        "line 3: missing_field",
    ]
    assert all_refused(client, (tmp_path / "fix.parquet").read_bytes(), {}) == 2
    corrected = [{**row, "topic": "Tea", "seed": 3} for row in found]
    parquet.write_table(pyarrow.Table.from_pylist(corrected), tmp_path / "fixed.parquet")
    assert client.enqueue(tmp_path / "fixed.parquet").refused == 0


def test_the_command_has_the_options_that_the_rows_need(client: Client) -> None:
    data = b"Title;N\nTea;1\n;2\n"
    options: EnqueueOptions = {
        "kind": "article",
        "map": {"topic": "Title"},
        "extra": ("N",),
        "fields": {"tone": "warm and dry"},
        "tenant": "shop",
        "priority": 7,
        "rows_may_set": ("tenant", "priority"),
        "deadline": "+8h",
    }
    batch, _ = exported(client, data, **options)
    assert client.corrections(batch).command("my fix.csv") == (
        "nightpress enqueue 'my fix.csv' --kind article --set 'tone=\"warm and dry\"' --map topic=Title --extra N "
        "--tenant shop --priority 7 --rows-may-set priority,tenant"
    )
    assert client.corrections(batch).command("-fix.csv").startswith("nightpress enqueue ./-fix.csv --kind")


def test_a_batch_without_refused_rows_has_nothing_to_correct(client: Client) -> None:
    batch = client.enqueue(io.BytesIO(GOOD))
    with pytest.raises(RequestError, match="nothing to correct"):
        client.corrections(batch)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data + data, id="a line too many"),
        pytest.param(lambda data: data.replace(b"promt", b"prumt"), id="another text"),
        pytest.param(lambda data: b"[]\n", id="no row"),
    ],
)
def test_a_damaged_file_of_refused_rows_is_named(client: Client, harm: Callable[[bytes], bytes]) -> None:
    batch = client.enqueue(io.BytesIO(GOOD + b'{"kind":"chat","promt":"x"}\n')).id
    path = BatchPaths(batch).refused
    data = harm(client.store.read(path))
    client.store.delete(path)
    client.store.create(path, data)
    with pytest.raises(StoreDamaged, match=r"refused\.jsonl"):
        corrections(client.store, batch).write(io.BytesIO())
    assert orjson.loads(client.store.read(BatchPaths(batch).acceptance))["refused"] == 1


@pytest.mark.parametrize("value", [pytest.param("my note", id="text"), pytest.param(7, id="number")])
@pytest.mark.parametrize("form", ["jsonl", "csv", "openai", "parquet"])
def test_a_value_of_the_users_own_in_the_place_of_the_reason_is_said_to_be_left_out(
    client: Client, form: str, value: Any
) -> None:
    """It would be lost without a word, since the key belongs to files to correct."""
    row = {
        "custom_id": "1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"messages": [{"role": "user", "content": "a"}]},
    }
    made = {"custom_id": "1", "prompt": "a"} if form != "openai" else row
    data = io.BytesIO()
    if form == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist([{**made, "nightpress_error": value}]), data)
    elif form == "csv":
        data.write(f"custom_id,prompt,nightpress_error\n1,a,{value}\n".encode())
    else:
        data.write(orjson.dumps({**made, "nightpress_error": value}))
    data.seek(0)
    options: EnqueueOptions = {} if form == "openai" else {"kind": "chat", "extra": ["metadata"]}
    accepted = client.enqueue(data, **options)
    assert [count for remark, count in accepted.remarks.items() if "nightpress_error is left out" in remark] == [1]


@pytest.mark.parametrize("reason", ["line 7: not_json: x", "line 12: unknown_field (a.b): x", "", "  ", None])
def test_a_reason_of_ours_is_left_out_without_a_remark(client: Client, reason: str | None) -> None:
    row = orjson.dumps({"kind": "chat", "prompt": "a", "nightpress_error": reason})
    assert client.enqueue(io.BytesIO(row)).remarks == {}


@pytest.mark.parametrize(
    "name", ["a b.csv", 'it\'s "x".csv', "new\nline.csv", "tab\t\x1b[2J.csv", "-x.csv", "$HOME;ls.csv"]
)
def test_the_advised_command_reads_the_file_of_any_name(client: Client, name: str) -> None:
    batch, _ = exported(client, b"prompt,seed\nHi,x\nHo,1\n", kind="chat")
    command = corrections(client.store, batch).command(name)
    assert one_line(command) == command
    ran = subprocess.run(
        ["bash", "-c", f'nightpress() {{ printf %s "$2"; }}; {command}'], capture_output=True, check=True
    )
    assert ran.stdout.decode().removeprefix("./") == name
