"""Shows that no file makes intake grow without bounds. An excessive part of a file costs little time, and fails its row or the
file.

Each test ends in seconds. Without its bound, the same input takes minutes, or the memory of the machine.
"""

import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from jobs.did_you_mean import LONGEST_NAME, nearest, same_name
from jobs.errors import RequestError
from jobs.formats import delimited
from jobs.formats import parquet as parquet_input
from jobs.formats.cells import Cells
from jobs.formats.json_lines import MAX_ROW_BYTES
from jobs.intake.accept import Accepted, IntakeOptions, accept, accept_file
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.store.local import LocalStore

KINDS = load_kinds()
CPU_S = 60.0
"""Seconds of processor time that an input may take on a busy machine. Without the bounds each takes many times as long."""


def taken(folder: Path, data: bytes, **settings: int) -> Accepted:
    """Accept a file of rows of the kind chat, in little processor time."""
    store = LocalStore(str(folder / "store"))
    began = time.process_time()
    try:
        return accept(
            store,
            io.BytesIO(data),
            IntakeOptions(model="stub", kind="chat"),
            kinds=KINDS,
            settings=Settings(store_url=str(folder / "store"), **settings),  # type: ignore[arg-type]
            run_key="key",
        )
    finally:
        assert time.process_time() - began < CPU_S


def many(n: int, form: str) -> str:
    return ",".join(form % i for i in range(n))


def row(*parts: str) -> str:
    return "".join(parts)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param('{"prompt":' + "[" * 100_000 + "]" * 100_000 + "}", "not_json", id="arrays"),
        pytest.param('{"a":' * 100_000 + "1" + "}" * 100_000, "not_json", id="objects"),
        pytest.param(row('{"prompt":"a",', many(90_000, '"k%d":1'), "}"), "unknown_field", id="keys"),
        pytest.param(
            row('{"prompt":"a","logit_bias":{', many(70_000, '"k%d":1'), "}}"), "out_of_range", id="keys within"
        ),
        pytest.param(row('{"messages":[', many(45_000, '{"role":"x%d"}'), "]}"), "out_of_range", id="turns"),
        pytest.param(row('{"prompt":"a","stop":[', ",".join(['""'] * 300_000), "]}"), "out_of_range", id="items"),
        pytest.param('{"prompt":"a","%s":1}' % ("ab" * 500_000), "unknown_field", id="a long key"),
        pytest.param('{"kind":"%s"}' % ("ab" * 500_000), "unknown_kind", id="a long kind"),
        pytest.param('{"prompt":"a","model":"%s"}' % ("ab" * 500_000), "unknown_model", id="a long model"),
        pytest.param('{"prompt":"a","seed":%s}' % ("9" * 100_000), "not_json", id="digits"),
        pytest.param('{"prompt":"a","temperature":1e999999999}', "not_json", id="an exponent"),
        pytest.param('{"prompt":"a","temperature":1e%s}' % ("9" * 100_000), "not_json", id="digits of an exponent"),
        pytest.param('{"prompt":"a","seed":0.%s}' % ("3" * 100_000), "wrong_type", id="digits of a fraction"),
    ],
)
def test_a_row_that_is_too_much_fails_by_itself(tmp_path: Path, line: str, code: str) -> None:
    accepted = taken(tmp_path, f'{line}\n{{"prompt":"Hi?"}}\n'.encode())
    assert (accepted.batch.rows, accepted.batch.refused) == (2, 1)
    (fault,) = accepted.faults
    assert fault.code == code
    assert len(str(fault)) < 2_000


@pytest.mark.parametrize(
    "number", ["9" * 100_000 + "x", "-" + "9" * 100_000, "0." + "9" * 100_000, "1e" + "9" * 100_000]
)
def test_a_long_number_of_a_csv_fails_by_itself(tmp_path: Path, number: str) -> None:
    accepted = taken(tmp_path, f"prompt,temperature,seed\nHi?,{number},\nHi?,,{number}\nHi?,0.5,1\n".encode())
    assert [fault.code for fault in accepted.faults] == ["wrong_type", "wrong_type"]


def test_a_csv_may_have_very_many_columns(tmp_path: Path) -> None:
    accepted = taken(tmp_path, b"prompt" + b"," * 500_000 + b"\nHi?" + b"," * 500_000 + b"\n")
    assert (accepted.batch.rows, accepted.batch.refused) == (1, 0)


class Fields:
    """Counts how often the fields of a kind are asked for."""

    known = frozenset({"kind", "prompt"})

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        del name
        return {}

    def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
        del columns, kind
        return ""


def test_the_kinds_that_a_csv_names_are_not_all_kept() -> None:
    rows = b"kind,prompt\n" + b"".join(b"k%d,a\n" % n for n in range(1_000))
    cells = Cells(["kind", "prompt"], Fields())
    for n in range(1_000):
        cells.record(n, b"", [f"k{n}", "a"])
    assert len(cells._of_kind) <= 64
    assert len(list(delimited.records(io.BytesIO(rows), Fields()))) == 1_000


def test_quotes_that_are_never_closed_do_not_have_a_file_read_again_and_again(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="many before it open a quote that they do not close"):
        taken(tmp_path, b"prompt,system\n" + b'x","y\n' * 400_000)


def test_a_single_quote_that_is_never_closed_fails_its_own_line(tmp_path: Path) -> None:
    accepted = taken(tmp_path, b"prompt,system\n" + b'"x\n' + b"x\n" * 2_000)
    assert (accepted.batch.rows, accepted.batch.refused) == (2_001, 1)


def in_parquet(table: pyarrow.Table, **options: Any) -> bytes:
    target = io.BytesIO()
    parquet.write_table(table, target, **options)
    return target.getvalue()


def repeated(text: str, rows: int) -> pyarrow.Table:
    """A column with one text in all its rows. The Parquet file holds this text only once."""
    indices = pyarrow.array([0] * rows, pyarrow.int32())
    return pyarrow.table({"prompt": pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([text]))})


def test_a_long_text_that_parquet_holds_once_is_not_held_for_many_rows(tmp_path: Path) -> None:
    data = in_parquet(repeated("a" * 400_000, 1_500))
    assert len(data) < 1 << 20
    most = pyarrow.total_allocated_bytes()
    for _ in parquet_input.records(io.BytesIO(data)):
        most = max(most, pyarrow.total_allocated_bytes())
    assert most < 128 << 20
    del tmp_path


def test_a_row_of_parquet_has_the_size_of_any_other_row(tmp_path: Path) -> None:
    accepted = taken(tmp_path, in_parquet(pyarrow.table({"prompt": ["a" * (MAX_ROW_BYTES + 1), "Hi?"]})))
    assert [(fault.line, fault.code) for fault in accepted.faults] == [(1, "row_too_large")]


def test_a_deep_schema_of_parquet_is_a_fault_of_the_file(tmp_path: Path) -> None:
    deep: Any = pyarrow.int64()
    for _ in range(500):
        deep = pyarrow.struct([("a", deep)])
    table = pyarrow.table({"prompt": ["Hi?"], "deep": pyarrow.array([None], type=deep)})
    with pytest.raises(RequestError, match=r"Parquet file cannot be read: .*too deeply nested"):
        taken(tmp_path, in_parquet(table))


def test_the_limits_of_inputs_hold_for_parquet(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(in_parquet(pyarrow.table({"prompt": ["Hi?"] * 100})))
    store = LocalStore(str(tmp_path / "store"))
    options = IntakeOptions(model="stub", kind="chat")
    for setting, value in (("input_rows", 99), ("input_bytes", 10)):
        limits: dict[str, Any] = {setting: value}
        with pytest.raises(RequestError, match=setting):
            accept_file(store, path, options, Settings(store_url=str(tmp_path / "store"), **limits), "key")
    assert accept_file(store, path, options, Settings(store_url=str(tmp_path / "store"), input_rows=100), "k").created


def test_a_value_of_parquet_that_cannot_be_read_fails_its_own_row(tmp_path: Path) -> None:
    texts = pyarrow.array([b"Hi?", b"\xff", b"Ho?"]).cast(pyarrow.string(), safe=False)
    days = pyarrow.array([0, 0, 4_000_000], pyarrow.int32()).cast(pyarrow.date32())
    table = pyarrow.table({"prompt": texts, "metadata": pyarrow.StructArray.from_arrays([days], ["day"])})
    accepted = taken(tmp_path, in_parquet(table))
    assert accepted.batch.rows == 3
    assert [(fault.line, fault.code) for fault in accepted.faults] == [(2, "not_utf8"), (3, "out_of_range")]


def test_a_very_long_name_is_like_no_other() -> None:
    assert nearest("a" * (LONGEST_NAME + 1), ["a"]) is None
    assert same_name("a " * LONGEST_NAME, ["a" * LONGEST_NAME]) is None
    assert json.dumps(same_name("Social Post", ["social_post"])) == '"social_post"'
