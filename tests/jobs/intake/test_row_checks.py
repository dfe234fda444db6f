"""Shows jobs/intake/row_checks.py: what a row changes of checks is read when the row is accepted, in every format."""

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard, Models
from jobs.checks.registry import load_checks
from jobs.findings import CheckSetting, Severity
from jobs.formats import delimited
from jobs.formats.detection import json_records
from jobs.formats.parquet import records as parquet_records
from jobs.formats.record import Record
from jobs.intake.row_faults import RowFault
from jobs.intake.row_reader import RowDefaults, RowReader
from jobs.kinds.registry import load_kinds

ROW = {"kind": "chat", "prompt": "Hi?"}


def reader(**given: Any) -> RowReader:
    return RowReader(load_kinds(), Models({"stub": ModelCard(engine="stub")}), RowDefaults(None, "stub", "t", 4, given))


def as_jsonl(checks: Any) -> Record:
    (record,) = json_records([(1, json.dumps({**ROW, "checks": checks}).encode())])
    assert isinstance(record, Record)
    return record


def as_csv(checks: Any) -> Record:
    """The row as a CSV, with the checks as JSON in a cell."""
    cell = json.dumps(checks).replace('"', '""')
    (record,) = delimited.records(io.BytesIO(f'kind,prompt,checks\nchat,Hi?,"{cell}"\n'.encode()), reader())
    assert isinstance(record, Record)
    return record


def as_parquet(checks: Any) -> Record:
    target = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist([{**ROW, "checks": checks}]), target)
    (record,) = parquet_records(io.BytesIO(target.getvalue()))
    assert isinstance(record, Record)
    return record


FORMS = pytest.mark.parametrize("form", [as_jsonl, as_csv, as_parquet])


@FORMS
@pytest.mark.parametrize(
    ("given", "read"),
    [
        pytest.param({"gap": "off"}, {"gap": {"severity": "off"}}, id="a severity alone"),
        pytest.param({"gap": {"severity": "note"}}, {"gap": {"severity": "note"}}, id="a severity by its name"),
        pytest.param(
            {"words_off_target": {"off_percent": 20}, "echo": "review"},
            {"words_off_target": {"off_percent": 20}, "echo": {"severity": "review"}},
            id="a limit beside another check",
        ),
        pytest.param(
            {"forbidden_term": {"severity": "fail", "terms": ["cheap", "free"]}},
            {"forbidden_term": {"severity": "fail", "terms": ["cheap", "free"]}},
            id="a list of texts",
        ),
    ],
)
def test_a_row_changes_checks(form: Callable[[Any], Record], given: dict[str, Any], read: dict[str, Any]) -> None:
    found = reader().read(form(given), 0)
    assert isinstance(found, RowRequest)
    assert found.checks == read
    again = RowRequest.from_bytes(found.to_line().rstrip())
    assert again == found
    assert again.check_settings == {code: CheckSetting(**changed) for code, changed in read.items()}


@pytest.mark.parametrize("given", [{}, None])
def test_no_change_is_not_stored(given: Any) -> None:
    found = reader().read(as_jsonl(given), 0)
    assert isinstance(found, RowRequest)
    assert (found.checks, found.check_settings) == (None, {})
    assert b"checks" not in found.to_line()


def test_given_checks_are_those_of_rows_without_their_own() -> None:
    own, without = as_jsonl({"gap": "note"}), as_jsonl(None)
    found = [reader(checks={"gap": "off"}).read(record, 0) for record in (own, without)]
    assert [one.check_settings["gap"].severity for one in found if isinstance(one, RowRequest)] == [
        Severity.NOTE,
        Severity.OFF,
    ]


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        pytest.param({"gpa": "off"}, "out_of_range", "there is no check 'gpa'", id="an unknown check"),
        pytest.param({"gpa": "off"}, "out_of_range", "did you mean gap?", id="the check that was meant"),
        pytest.param({"gpa": "off"}, "out_of_range", "`nightpress checks` lists them", id="where all checks are"),
        pytest.param({"gap": "Off"}, "out_of_range", "'Off' is none: did you mean off?", id="another case"),
        pytest.param(
            {"gap": "error"}, "out_of_range", "gap.severity: give fail, review, note or off", id="no severity"
        ),
        pytest.param({"gap": {"severity": 3}}, "out_of_range", "gap.severity: give fail", id="a number as severity"),
        pytest.param({"gap": 3}, "out_of_range", "or an object with severity and limits; 3 is none", id="a number"),
        pytest.param({"gap": None}, "out_of_range", "gap: give fail, review, note or off", id="null"),
        pytest.param({"gap": ["off"]}, "out_of_range", "gap: give fail, review, note or off", id="a list"),
        pytest.param(
            {"words_off_target": {"percent": 20}},
            "out_of_range",
            "the check words_off_target has no limit 'percent': its limits are off_percent",
            id="an unknown limit",
        ),
        pytest.param(
            {"words_off_target": {"off_percent": "20"}},
            "out_of_range",
            "off_percent of the check words_off_target takes a number, such as 10.0: '20' is none",
            id="a text as a number",
        ),
        pytest.param(
            {"words_off_target": {"off_percent": True}}, "out_of_range", "takes a number", id="true as a number"
        ),
        pytest.param({"words_off_target": {"off_percent": -1}}, "out_of_range", "takes a number", id="below 0"),
        pytest.param({"forbidden_term": {"terms": "cheap"}}, "out_of_range", "takes a list of texts", id="no list"),
        pytest.param({"forbidden_term": {"terms": [1]}}, "out_of_range", "takes a list of texts", id="no texts"),
        pytest.param(["gap"], "wrong_type", "it must be an object, such as", id="a list of checks"),
        pytest.param("off", "wrong_type", "it must be an object, such as", id="a text"),
        pytest.param(
            {f"check{n}": "off" for n in range(101)}, "out_of_range", "it must have at most 100 items", id="101 checks"
        ),
        pytest.param({"x" * 100_000: "off"}, "out_of_range", "there is no check", id="a long name"),
        pytest.param({"gap": "y" * 100_000}, "out_of_range", "give fail, review", id="a long severity"),
    ],
)
def test_a_change_that_cannot_be_made_refuses_the_row(given: Any, code: str, message: str) -> None:
    for fault in (reader().read(as_jsonl(given), 0), reader(checks=given).read(as_jsonl(None), 0)):
        assert isinstance(fault, RowFault)
        assert (fault.code, fault.field) == (code, "checks")
        assert message in fault.message
        assert len(fault.message) <= 300


def test_a_cell_that_is_no_json_is_refused() -> None:
    (record,) = delimited.records(io.BytesIO(b"kind,prompt,checks\nchat,Hi?,gap=off\n"), reader())
    assert isinstance(record, Record)
    fault = reader().read(record, 0)
    assert isinstance(fault, RowFault)
    assert (fault.code, fault.field) == ("wrong_type", "checks")


def test_every_check_can_be_changed_by_a_row() -> None:
    changed = {
        code: {"severity": "note", **{name: list(v) if isinstance(v, tuple) else v for name, v in one.limits.items()}}
        for code, one in load_checks().items()
    }
    assert 30 <= len(changed) <= 100
    found = reader().read(as_jsonl(changed), 0)
    assert isinstance(found, RowRequest), found
    assert found.checks == changed
