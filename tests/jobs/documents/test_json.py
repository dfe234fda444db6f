"""Shows jobs/documents/catalogues/json_catalogue.py: strings are segments, and plural keys follow the language."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.catalogues.json_catalogue import JsonFormat
from jobs.documents.catalogues.json_values import pointer, values
from jobs.documents.source import Options
from jobs.errors import DocumentError
from tests.support.documents.reading import read, texts, translated

FORM = JsonFormat()
CATALOGUE = """{
  "title" : "Hello {{name}}",
  "nested": { "a/b": "Words", "count": 12, "ok": true, "url": "https://example.org" },
  "list": ["one", "", "two"],
  "file_one": "{{count}} file",
  "file_other": "{{count}} files",
  "place_ordinal_one": "{{count}}st",
  "last": "The \\u201cend\\u201d\\n"
}
"""


def test_the_segments_of_a_catalogue() -> None:
    assert [(one.id, one.text, one.kind) for one in read(FORM, CATALOGUE, Options(target_language="pl"))] == [
        ("/title", "Hello {{name}}", "message"),
        ("/nested/a~1b", "Words", "message"),
        ("/list/0", "one", "message"),
        ("/list/2", "two", "message"),
        ("/file_one", "{{count}} file", "plural one"),
        ("/file_few", "{{count}} files", "plural few"),
        ("/file_many", "{{count}} files", "plural many"),
        ("/file_other", "{{count}} files", "plural other"),
        ("/place_ordinal_one", "{{count}}st", "message"),
        ("/last", "The “end”\n", "message"),
    ]


def test_only_translated_strings_change() -> None:
    made = translated(
        FORM,
        CATALOGUE,
        {
            "/title": 'Cześć "{{name}}"',
            "/file_one": "{{count}} plik",
            "/file_few": "{{count}} pliki",
            "/file_many": "{{count}} plików",
        },
        Options(target_language="pl"),
    ).decode()
    assert made == CATALOGUE.replace('"Hello {{name}}"', r'"Cze\u015b\u0107 \"{{name}}\""').replace(
        '  "file_one": "{{count}} file",\n  "file_other"',
        '  "file_one": "{{count}} plik",\n  "file_few": "{{count}} pliki",\n'
        '  "file_many": "{{count}} plik\\u00f3w",\n  "file_other"',
    )
    assert (
        translated(FORM, '{"a_other": "x y"}', {"/a_other": "é"}, Options(target_language="ja"))
        == '{"a_other": "é"}'.encode()
    )


def test_arb_keeps_what_describes_messages() -> None:
    arb = '{"@@locale": "en", "hi": "Hello", "@hi": {"description": "A greeting", "type": "text"}}'
    (found,) = read(FORM, arb)
    assert (found.id, found.context) == ("/hi", "A greeting")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('{"a": "b"', "line 1: it is not valid JSON: the end is missing: mend it there", id="cut off"),
        pytest.param('{\n"a": "b" "c"}', "line 2: .* a comma or colon is missing", id="no comma"),
        pytest.param('{\n\n"a": tru}', "line 3: .*a value is not valid", id="a wrong word"),
        pytest.param('{"a": "b"} x', "a value is not valid|behind the end", id="more behind it"),
        pytest.param("[" * 1000, "nested more than 200 deep", id="1,000 deep"),
        pytest.param('{"a": "\n"}', "a value is not valid", id="a line break in a string"),
        pytest.param("{'a': 'b'}", "not valid JSON", id="other quotes"),
        pytest.param('{"a": "b",,}', "',' stands where it may not|a key in quotes is missing", id="two commas"),
        pytest.param('{"a": }', "'}' stands where it may not", id="no value"),
        pytest.param("{a: 'b'}", "not valid JSON", id="JSON5"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read(FORM, text)


def test_keys_that_stand_twice_are_told_apart() -> None:
    assert [one.id for one in read(FORM, '{"a": "x", "a": "y"}')] == ["/a", "/a#2"]
    assert texts(FORM, '\ufeff"x"') == ["x"]


FORMS = st.sampled_from(["a_one", "a_other"])
TREES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | FORMS, inner, max_size=4),
    max_leaves=12,
)


def strings(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    if isinstance(tree, str):
        return [(path, tree)]
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, value in items for found in strings(value, (*path, key))]


@given(TREES, st.sampled_from([None, 2]), st.booleans(), st.sampled_from([None, "pl", "ja"]))
def test_any_tree_is_read_and_written(tree: Any, indent: int | None, is_ascii: bool, target: str | None) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=is_ascii)
    if any(0xD800 <= ord(one) < 0xE000 for one in text):
        return
    assert [(one.path, one.text) for one in values(text)] == strings(tree)
    found = read(FORM, text, Options(target_language=target))
    new = {one.id: f"{one.text}!" for one in found if not one.marks}
    again = json.loads(translated(FORM, text, new, Options(target_language=target)))
    wanted = {pointer(path): value for path, value in strings(tree)} | new
    got = {pointer(path): value for path, value in strings(again)}
    assert all(wanted.get(name, value) == value for name, value in got.items())
    assert set(new) <= set(got)


def test_comments_and_a_comma_too_many_stay() -> None:
    data = '// "a": "b"\n{ /* "x" */ "a": "One", // "c"\n "b": ["Two", ], "e": [], }\n/* end */'
    assert texts(JsonFormat(), data) == ["One", "Two"]
    assert translated(JsonFormat(), data, {"One": "Un"}).decode() == data.replace("One", "Un")


def test_the_messages_of_a_browser_extension() -> None:
    data = (
        '{"name": {"message": "Hi $USER$", "description": "The name", "placeholders": {"user": {"content": "$1", '
        '"example": "Ann"}}}, "b": {"message": "Go"}}'
    )
    found = read(JsonFormat(), data)
    assert [(one.id, one.context, [mark.text for mark in one.marks]) for one in found] == [
        ("/name/message", "The name", ["$USER$"]),
        ("/b/message", "", []),
    ]


def test_half_a_character_is_no_text() -> None:
    assert texts(JsonFormat(), '{"a": "\\ud83d x", "b": "\\ud83d\\ude00 y"}') == ["😀 y"]
