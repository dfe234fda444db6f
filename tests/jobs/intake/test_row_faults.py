"""Shows jobs/intake/row_faults.py: the code, the field and the message of a refused row."""

from typing import Any

import pytest

from tests.support.notes import fault, note


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        pytest.param(note(), "missing_field", None, id="needed and not there"),
        pytest.param(note(title="a", body="b"), "out_of_range", None, id="one too many"),
        pytest.param(note(title="taken"), "out_of_range", None, id="a check of the kind"),
        pytest.param(note(title="untyped"), "wrong_type", None, id="a check that names its code"),
        pytest.param(note(title="a", tags=["b", 5]), "wrong_type", "tags.1", id="within a list"),
        pytest.param(note(title="a" * 11), "out_of_range", "title", id="too long"),
        pytest.param(note(title="a", model=""), "unknown_model", "model", id="empty model"),
        pytest.param(note(title="a", model=5), "wrong_type", "model", id="model is no text"),
    ],
)
def test_the_code_of_a_fault(line: dict[str, Any], code: str, field: str | None) -> None:
    found = fault(line)
    assert (found.row, found.line, found.code, found.field, found.kind) == (7, 9, code, field, "note")


def test_the_first_fault_has_the_code_and_the_message_names_the_others() -> None:
    wrong = note(words="5", colour=1, seed="5", model="huge")
    order = [("seed", "wrong_type"), ("words", "wrong_type"), ("colour", "unknown_field"), ("model", "unknown_model")]
    for n, (field, code) in enumerate(order):
        found = fault(wrong)
        assert (found.field, found.code) == (field, code)
        others = ", ".join(sorted(name for name, _ in order[n + 1 :]))
        assert found.message.endswith(f"(also wrong: {others})") == bool(others)
        del wrong[field]
        wrong["title"] = "a"


def test_only_the_first_twenty_faults_of_a_row_are_looked_at() -> None:
    """To look at a hundred thousand faults, and for the nearest field of each, would take minutes."""
    found = fault(note(title="a", **{f"x{n}": 1 for n in range(60)}))
    others = found.message.partition("(also wrong: ")[2].rstrip(")").split(", ")
    assert (found.field, found.code, sorted(others)) == ("x0", "unknown_field", sorted(f"x{n}" for n in range(1, 20)))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"kind": "k" * 900_000}, id="kind"),
        pytest.param(note(title="a", model="m" * 900_000), id="model"),
        pytest.param(note(title="a", custom_id="c" * 900_000), id="custom_id"),
        pytest.param(note(title="a", **{"f" * 900_000: 1}), id="field"),
        pytest.param(note(title="a", seed="5", **{f"field_{n}": 1 for n in range(9_000)}), id="many fields"),
    ],
)
def test_a_fault_is_small_however_long_the_line_is(line: dict[str, Any]) -> None:
    assert len(repr(fault(line))) < 2_000


def test_a_fault_has_the_custom_id_of_its_row() -> None:
    assert fault(note(custom_id="a", colour=1)).custom_id == "a"
    assert fault({"custom_id": "a"}).custom_id == "a"
    assert fault(note(custom_id="", title="a")).custom_id is None


@pytest.mark.parametrize(
    ("field", "message"),
    [
        pytest.param("titel", "did you mean title? Then --map title=titel", id="misspelt"),
        pytest.param(
            "custom_ids",
            "did you mean custom_id? Then --map custom_id=custom_ids",
            id="a field of every row",
        ),
        pytest.param("zzz", "remove or rename it", id="like none"),
    ],
)
def test_the_message_about_an_unknown_field_suggests_a_known_one(field: str, message: str) -> None:
    found = fault(note(body="B", **{field: "x"}))
    others = "--extra metadata takes other columns along, --extra none leaves them out"
    assert (found.code, found.field, found.message) == (
        "unknown_field",
        field,
        f"note has no such field: {message}; {others}",
    )


def test_the_message_about_a_length_speaks_of_characters_or_items() -> None:
    for fields, message in (
        ({"outline": ["a", "b", "c"]}, "it must have at most 2 items"),
        ({"language": "C"}, "it must have at least 2 characters"),
    ):
        found = fault(note(title="x", **fields))
        assert (found.code, found.message) == ("out_of_range", message)
