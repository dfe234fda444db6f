"""Shows jobs/formats/cells.py: a cell is read by the type of its field, and no number is guessed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from jobs.exchange.formulas import RESULT_COLUMNS, guarded
from jobs.formats.cells import Cells
from jobs.formats.json_lines import Finding


class AnyField:
    """Fields, one of each type that a cell can have."""

    known = frozenset({"text", "whole", "real", "small", "truth", "list", "numbers", "object", "either", "metadata"})

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        del name
        return {
            "text": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "whole": {"type": "integer"},
            "real": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "small": {"anyOf": [{"type": "number", "minimum": -2, "maximum": 2}, {"type": "null"}]},
            "truth": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "string"}},
            "numbers": {"type": "array", "items": {"type": "number"}},
            "object": {"type": "object"},
            "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "metadata": {"type": "object"},
        }

    def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
        del columns, kind
        return ""


def values(**cells: str) -> Any:
    return Cells(list(cells), AnyField()).record(2, b"", list(cells.values())).values


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        pytest.param("text", " a ", " a ", id="text as it stands"),
        pytest.param("text", "007", "007", id="text of digits"),
        pytest.param("text", "1.000", "1.000", id="text like a number"),
        pytest.param("text", "'=SUM(A1)", "=SUM(A1)", id="a formula that was made safe"),
        pytest.param("text", "'tis", "'tis", id="an apostrophe of one's own"),
        pytest.param("whole", " 12 ", 12, id="integer"),
        pytest.param("whole", "12.0", 12, id="integer as some programs write it"),
        pytest.param("whole", "12,00", 12, id="integer with a decimal comma"),
        pytest.param("whole", "-9223372036854775808", -(1 << 63), id="integer of 64 bits"),
        pytest.param("whole", "99999999999999999999", "99999999999999999999", id="integer of more"),
        pytest.param("whole", "12.5", "12.5", id="no integer"),
        pytest.param("whole", "1.000", "1.000", id="one or a thousand"),
        pytest.param("whole", "-12,500", "-12,500", id="twelve and a half, or thousands"),
        pytest.param("whole", "0.000", 0, id="nothing, however written"),
        pytest.param("whole", "1000.000", 1000, id="thousands are not parted here"),
        pytest.param("whole", "1\N{NO-BREAK SPACE}000", 1000, id="thousands as in French"),
        pytest.param("whole", "12\N{NARROW NO-BREAK SPACE}500", 12500, id="thousands as in newer French"),
        pytest.param("whole", "1'000", 1000, id="thousands as in Switzerland"),
        pytest.param("whole", "+1.250.000", 1250000, id="millions as in German"),
        pytest.param("whole", "1,250,000", 1250000, id="millions as in English"),
        pytest.param("whole", "1,250.000", "1,250.000", id="thousands with decimals"),
        pytest.param("whole", "1 00", "1 00", id="a space between other digits"),
        pytest.param("real", "0.7", 0.7, id="number"),
        pytest.param("real", "0,7", 0.7, id="decimal comma"),
        pytest.param("real", ".5e-1", 0.05, id="number in powers of ten"),
        pytest.param("real", "0;7", "0;7", id="no number"),
        pytest.param("real", "70%", "70%", id="percent"),
        pytest.param("real", "1e999", "1e999", id="infinite"),
        pytest.param("real", "1.250", "1.250", id="a number that may be thousands"),
        pytest.param("real", "0.125", 0.125, id="a number that is none"),
        pytest.param("real", "1.2500", 1.25, id="a number of four decimals"),
        pytest.param("small", "1.250", 1.25, id="a number that by its limits is no thousand"),
        pytest.param("small", "-1,000", -1.0, id="a negative one"),
        pytest.param("truth", "TRUE", True, id="true"),
        pytest.param("truth", "no", False, id="false"),
        pytest.param("truth", "perhaps", "perhaps", id="no truth"),
        pytest.param("list", "a| b |c||", ["a", "b", "c"], id="list"),
        pytest.param("list", '["a|b", "c"]', ["a|b", "c"], id="list as json"),
        pytest.param("list", "[a]|b", ["[a]", "b"], id="a list that only looks like json"),
        pytest.param("numbers", "1|2.5", [1, 2.5], id="list of numbers"),
        pytest.param("numbers", "1,2|3", ["1,2", 3], id="two numbers or one"),
        pytest.param("object", '{"a": [1]}', {"a": [1]}, id="object"),
        pytest.param("object", "{a}", "{a}", id="no object"),
        pytest.param("object", '{"a":' * 101 + "1" + "}" * 101, '{"a":' * 101 + "1" + "}" * 101, id="too deep"),
        pytest.param("either", "x|y", "x|y", id="text where a list may stand"),
        pytest.param("either", '["x"]', ["x"], id="list where a text may stand"),
    ],
)
def test_a_cell_is_read_by_the_type_of_its_field(column: str, cell: str, value: Any) -> None:
    found = values(**{column: cell})
    assert found == {column: value}
    assert type(found[column]) is type(value) or isinstance(value, int)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        pytest.param(
            "whole",
            "12.500",
            "'12.500' may mean 12.5 or 12500: write a whole number without a separator of thousands",
            id="two readings",
        ),
        pytest.param("real", "7 %", "'7 %' is not a number: correct the cell", id="no number"),
        pytest.param("truth", "WAHR", "'WAHR' is not true or false: correct the cell", id="no truth"),
        pytest.param(
            "whole", "x" * 99, f"'{'x' * 39}\N{HORIZONTAL ELLIPSIS}' is not a whole number: correct the cell", id="long"
        ),
    ],
)
def test_the_message_about_a_cell_of_the_wrong_type_has_the_remedy(column: str, cell: str, message: str) -> None:
    record = Cells([column], AnyField()).record(2, b"", [cell])
    assert record.in_terms_of_file(Finding("wrong_type", column, "input should be another")).message == message
    assert record.in_terms_of_file(Finding("out_of_range", column, "too much")).message == "too much"


def test_metadata_by_its_names() -> None:
    names = ["text", "metadata.campaign", "metadata.no"]
    found = Cells(names, AnyField()).record(2, b"", ["a", "spring", "1.000"]).values
    assert found == {"text": "a", "metadata": {"campaign": "spring", "no": "1.000"}}
    assert Cells(names, AnyField()).record(2, b"", ["b", "", " "]).values == {"text": "b"}


def test_guards_within_cells_are_taken_off_in_our_own_results_alone() -> None:
    code = "import x from\n'@scope/x'"
    assert Cells(["text"], AnyField()).record(2, b"", [f"'={code}"]).values == {"text": f"={code}"}
    ours = Cells([*RESULT_COLUMNS, "text"], AnyField()).record(2, b"", ["0", "a", "chat", "completed", guarded(code)])
    assert isinstance(ours.values, dict)
    assert ours.values["text"] == code
