"""Shows jobs/intake/column_options.py: the options that choose columns are read, or refused with a message that shows their
form.
"""

from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RequestError
from jobs.intake.column_options import checked_fields, columns_of, typed

KNOWN = ["topic", "target_words", "metadata", "custom_id"]


def test_the_same_choice_in_its_forms() -> None:
    as_texts = columns_of(["topic=A=B", " custom_id = id "], "x, y", "a,,b", 3)
    as_values = columns_of({"topic": "A=B", "custom_id": "id"}, ["x", "y"], ["a", "", "b"], 3)
    assert as_texts == as_values
    assert as_texts.fields == (("topic", "A=B"), ("custom_id", "id"))
    assert columns_of(extra=["x", "y,z"]).extra == ("x", "y", "z")
    assert columns_of(extra='"Long, name"').extra == ("Long, name",)


def test_a_file_of_fields(tmp_path: Path) -> None:
    file = tmp_path / "columns.toml"
    file.write_bytes(b'\xef\xbb\xbftopic = "My Title"\n[metadata]\nowner = "Who"\n')
    found = columns_of([f"@{file}", "custom_id=id"])
    assert found.fields == (("topic", "My Title"), ("metadata.owner", "Who"), ("custom_id", "id"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"mapped": ["topic"]}, "--map topic: give it as FIELD=COLUMN", id="no column"),
        pytest.param({"mapped": ["topic="]}, "give it as FIELD=COLUMN", id="an empty column"),
        pytest.param({"mapped": ["=x"]}, "give it as FIELD=COLUMN", id="an empty field"),
        pytest.param({"mapped": {"topic": 3}}, "--map topic=3: give it as", id="a number"),
        pytest.param({"mapped": ["topic=a", "topic=b"]}, "--map topic=... is given twice", id="twice"),
        pytest.param({"mapped": ["@none.toml"]}, "--map @none.toml: No such file", id="no file"),
        pytest.param({"mapped": ["@."]}, "--map @.: Is a directory", id="a folder"),
        pytest.param({"extra": "a,metadata"}, "--extra metadata stands alone", id="all and one"),
        pytest.param({"extra": ["none", "a"]}, "--extra none stands alone", id="none and one"),
        pytest.param({"header": ","}, "--header: give the names", id="no names"),
        pytest.param({"header_row": 0}, "--header-row 0: lines count from 1", id="line 0"),
    ],
)
def test_a_wrong_option_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        columns_of(**given)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("topic: Title\n")
    with pytest.raises(RequestError, match=r'a.toml is not TOML: .* a line of it is FIELD = "COLUMN"'):
        columns_of([f"@{tmp_path / 'a.toml'}"])


def test_fields_are_checked() -> None:
    assert checked_fields(columns_of(["Target words=n", "metadata.x=y"]), KNOWN).fields == (
        ("target_words", "n"),
        ("metadata.x", "y"),
    )
    for given, message in (
        ("topik=a", "no kind has a field 'topik': did you mean topic"),
        ("Title=topic", "did you mean topic=Title"),
    ):
        with pytest.raises(RequestError, match=message):
            checked_fields(columns_of([given]), KNOWN)
    with pytest.raises(RequestError, match=r"--map topic=\.\.\. is given twice"):
        checked_fields(columns_of(["topic=a", "TOPIC=b"]), KNOWN)


def test_options_as_text() -> None:
    assert typed(columns_of()) == {"map": None, "extra": None, "header": None, "header_row": None}
    assert typed(columns_of(["topic=a"], "*", "x,y", 2)) == {
        "map": '{"topic":"a"}',
        "extra": '["*"]',
        "header": '["x","y"]',
        "header_row": "2",
    }
