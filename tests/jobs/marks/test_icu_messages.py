"""Shows jobs.marks.icu_messages.py: sentences of messages, and valid messages with the categories of the target."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.signs.icu import IcuError, parse
from jobs.documents.catalogues.json_catalogue import JsonFormat
from jobs.documents.source import Options
from jobs.errors import DocumentError
from jobs.marks.icu_messages import IcuSentences, TooManyForms
from jobs.marks.plural_keys import categories_of
from tests.support.documents.reading import read, translated

FILES = "You have {n, plural, =0 {no files} one {# file} other {# files}} left, {name}"
NESTED = (
    "{g, select, female {{n, plural, one {Her file} other {Her # files}}} "
    "other {{n, plural, one {A file} other {# files}}}}!"
)


def test_sentences_are_whole() -> None:
    icu = IcuSentences(FILES, "pl")
    assert [(one.path, one.text) for one in icu.sentences] == [
        ("n==0", "You have no files left, {name}"),
        ("n=one", "You have # file left, {name}"),
        ("n=few", "You have # files left, {name}"),
        ("n=many", "You have # files left, {name}"),
        ("n=other", "You have # files left, {name}"),
    ]
    assert [one.text for one in icu.sentences[1].marks] == ["#", "{name}"]
    assert icu.write(["a {name}", "b # {name}", "{name} c #", "d # {name}", "e # {name}"]) == (
        "{n, plural, =0 {a {name}} one {b # {name}} few {{name} c #} many {d # {name}} other {e # {name}}}"
    )


MESSAGES = [
    FILES,
    NESTED,
    "{n, plural, offset:1 one {# and you} other {# others and you}}",
    "{n, selectordinal, one {#st} two {#nd} few {#rd} other {#th}} place",
    "{a, plural, one {# cat} other {# cats}} and {b, plural, one {# dog} other {# dogs}}",
    "It''s {n, plural, one {a '{'brace'}'} other {many}}",
    "Tag #1: {n, plural, one {# x} other {# xs}}",
    "{d, date, long} {n, plural, other {# days, {m, number, percent}}}",
    "{g, select, m {his} f {her} other {their}} <b>book</b>",
]


@pytest.mark.parametrize("language", ["pl", "ar", "ja", "fr"])
@pytest.mark.parametrize("message", MESSAGES)
def test_messages_are_valid_and_have_the_categories_of_the_target(message: str, language: str) -> None:
    icu = IcuSentences(message, language)
    made = icu.write([f"«l'{one.text}'»" for one in icu.sentences])
    before = {one.name: one for one in parse(message).walk() if one.forms}
    after = {one.name: one for one in parse(made).walk() if one.forms}
    assert set(before) == set(after)
    for name, one in after.items():
        words = {selector for selector in one.selectors if not selector.startswith("=")}
        if one.type == "select":
            assert one.selectors == before[name].selectors
        else:
            assert words == set(categories_of(language, is_ordinal=one.type == "selectordinal"))
    plain = {one.name for one in parse(message).walk()}
    assert {one.name for one in parse(made).walk()} == plain


def test_signs_of_two_plurals_are_told_apart() -> None:
    icu = IcuSentences("#1: {a, plural, other {# cats}} and {b, plural, other {# dogs #}}", "ja")
    (found,) = icu.sentences
    assert found.text == "'#'1: {a, number} cats and {b, number} dogs {b, number}"
    assert [one.text for one in found.marks] == ["'#'", "{a, number}", "{b, number}", "{b, number}"]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        pytest.param("l'{x} # a", "l''{x} # a", id="an apostrophe that would quote"),
        pytest.param("l'a {x} #", "l'a {x} #", id="an apostrophe in a word"),
        pytest.param("{x} # {y}", "{x} # '{'y'}'", id="braces that are words"),
        pytest.param("{x} # {y}'s", "{x} # '{'y'}'''s", id="an apostrophe behind a quote"),
        pytest.param("# {x} #", "# {x} '#'", id="a further number sign"),
    ],
)
def test_words_are_quoted(text: str, made: str) -> None:
    assert IcuSentences("{n, plural, other {# {x}}}", "ja").write([text]) == f"{{n, plural, other {{{made}}}}}"


def test_messages_in_a_catalogue() -> None:
    options, text = Options(target_language="ja"), json.dumps({"files": FILES, "broken": "{n, plural, one {a}"})
    found = read(JsonFormat(), text, options)
    assert [one.id for one in found] == ["/files[n==0]", "/files[n=other]"]
    made = json.loads(translated(JsonFormat(), text, {"/files[n=other]": "{name}: あと#個"}, options))
    assert made["files"] == "{n, plural, =0 {You have no files left, {name}} other {{name}: あと#個}}"
    with pytest.raises(DocumentError, match="lost '#'"):
        translated(JsonFormat(), text, {"/files[n=other]": "{name}"}, options)


def test_too_many_forms_are_left_alone() -> None:
    message = "".join(f"{{a{n}, select, x {{1}} y {{2}} other {{3}}}}" for n in range(5))
    with pytest.raises(TooManyForms):
        IcuSentences(message, "de")


@given(
    st.lists(
        st.sampled_from(["{n, plural, one {#", "} other {", "}}", "'", "''", "{x}", "#", " word ", "{", "}", "<b>"]),
        max_size=9,
    ).map("".join)
)
def test_any_message_is_written_as_a_valid_one(text: str) -> None:
    message = f"{{n, plural, one {{a}} other {{{text}}}}}"
    try:
        parse(message)
        icu = IcuSentences(message, "pl")
    except (IcuError, TooManyForms):
        return
    made = icu.write([one.text for one in icu.sentences])
    assert [one.text for one in IcuSentences(made, "pl").sentences] == [one.text for one in icu.sentences]
