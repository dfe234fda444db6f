"""Shows the formats of keys and values: YAML, Java properties and Apple strings."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.catalogues.apple_strings import AppleStringsFormat
from jobs.documents.catalogues.properties import PropertiesFormat
from jobs.documents.catalogues.yaml_catalogue import YamlFormat
from jobs.documents.document import DocumentFormat
from jobs.documents.source import Options
from jobs.errors import DocumentError
from tests.support.documents.reading import read, texts, translated

YAML = """# Rails
en: &anchor
  hello: "Hello %{name}"   # a comment
  plain: Just words
  quoted: 'It''s here'
  block: |
    Two
    lines
  folded: >-
    One line
    only
  yes_no: true
  number: 12
  date: 2026-01-01
  list: [First, 'second']
  same: *anchor
"""
PROPERTIES = """# The title
title = Hello {0}
! for bots
robots:noindex, \\
    nofollow here
accent=caf\\u00e9 au lait
empty=
key\\ with\\ blanks Words here
"""
STRINGS = """/* A greeting */
"hello" = "Hello \\"%@\\"";
// no comment
bye = "Bye\\nnow";
"""


def test_yaml() -> None:
    form = YamlFormat()
    found = {one.id: one.text for one in read(form, YAML)}
    assert found == {
        "/en/hello": "Hello %{name}",
        "/en/plain": "Just words",
        "/en/quoted": "It's here",
        "/en/block": "Two\nlines\n",
        "/en/folded": "One line only",
        "/en/list/0": "First",
        "/en/list/1": "second",
    }
    new = {
        "/en/hello": 'Hallo "%{name}"',
        "/en/plain": "Nur: Wörter",
        "/en/quoted": "Hier's",
        "/en/block": "Zwei\n\nZeilen\n",
        "/en/folded": "Eine Zeile",
        "/en/list/0": "yes",
        "/en/list/1": "zweitens",
    }
    made = translated(form, YAML, new).decode()
    loaded = yaml.safe_load(made)["en"]
    assert [loaded["list"], loaded["block"], loaded["folded"]] == [
        ["yes", "zweitens"],
        "Zwei\n\nZeilen\n",
        "Eine Zeile",
    ]
    assert '  hello: "Hallo \\"%{name}\\""   # a comment\n  plain: "Nur: Wörter"\n  quoted: \'Hier\'\'s\'\n' in made
    assert made.endswith("""[\"yes\", 'zweitens']\n  same: *anchor\n""")


VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Co"])
    | st.sampled_from("\n:#-'\"[]{}&*!|>%@`? "),
    max_size=20,
)


@given(st.lists(VALUES, min_size=1, max_size=4), VALUES.filter(str.strip), st.sampled_from([None, "'", '"', "|", ">"]))
def test_any_yaml_value_comes_back(items: list[str], new: str, style: str | None) -> None:
    form, text = YamlFormat(), yaml.safe_dump({"a": items}, allow_unicode=True, default_style=style, width=30)
    found = [one for one in read(form, text) if not one.marks]
    if found:
        made = translated(form, text, {found[0].id: new})
        index = int(found[0].id.rsplit("/", 1)[1])
        wanted = [one if n != index else new for n, one in enumerate(items)]
        got = yaml.safe_load(made.decode())["a"]
        assert [one.rstrip("\n") for one in got] == [one.rstrip("\n") for one in wanted]


def test_properties() -> None:
    form = PropertiesFormat()
    assert [(one.id, one.text, one.context) for one in read(form, PROPERTIES)] == [
        ("title", "Hello {0}", "The title"),
        ("robots", "noindex, nofollow here", "for bots"),
        ("accent", "café au lait", ""),
        ("key with blanks", "Words here", ""),
    ]
    made = translated(form, PROPERTIES, {"title": "Grüße {0}\\", "accent": "größer 😀", "robots": " a\nb"}).decode()
    assert "title = Grüße {0}\\\\\n" in made
    assert "accent=gr\\u00f6\\u00dfer \\ud83d\\ude00\n" in made
    assert "robots:\\ a\\nb\naccent" in made
    assert read(form, made)[2].text == "größer 😀"


def test_apple_strings() -> None:
    form = AppleStringsFormat()
    assert [(one.id, one.text, one.context) for one in read(form, STRINGS)] == [
        ("hello", 'Hello "%@"', "A greeting"),
        ("bye", "Bye\nnow", "no comment"),
    ]
    made = translated(form, "\ufeff" + STRINGS.replace("\n", "\r\n"), {"hello": 'Hallo "%@"\n'}).decode()
    assert made == "\ufeff" + STRINGS.replace("Hello", "Hallo").replace('\\"";', '\\"\\n";').replace("\n", "\r\n")
    assert texts(form, ("\ufeff" + STRINGS).encode("utf-16-le")) == ['Hello "%@"', "Bye\nnow"]


@given(st.lists(VALUES, max_size=4), VALUES.filter(str.strip))
def test_any_value_comes_back(values: list[str], new: str) -> None:
    forms: list[tuple[DocumentFormat, str]] = [
        (AppleStringsFormat(), '"k{}" = "{}";\n'),
        (PropertiesFormat(), "k{} = {}\n"),
    ]
    for form, line in forms:
        bare = [one.replace("\\", "").replace('"', "").replace("\n", "") for one in values]
        text = "".join(line.format(n, one) for n, one in enumerate(bare))
        found = [one for one in read(form, text) if not one.marks]
        if found:
            again = {one.id: one.text for one in read(form, translated(form, text, {found[0].id: f"x{new}"}))}
            assert again[found[0].id] == f"x{new}"


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        pytest.param(YamlFormat(), "a: [b", "line 1: it is not valid YAML: .*: mend it there", id="YAML cut off"),
        pytest.param(YamlFormat(), "a: b\n\tc: d", "line 2: it is not valid YAML", id="YAML with a tab"),
        pytest.param(YamlFormat(), "[" * 1000, "nested more than 200 deep", id="YAML 1,000 deep"),
        pytest.param(YamlFormat(), "a: b\n---\nc: d", "line 2: it holds several YAML documents", id="YAML documents"),
        pytest.param(AppleStringsFormat(), '"a" = "b";\n"c" = "d"', "line 2: a pair of the form", id="strings cut off"),
        pytest.param(
            AppleStringsFormat(), b'"a" = "\xff";', "line 1: it is not valid utf-8", id="strings of wrong bytes"
        ),
    ],
)
def test_what_cannot_be_read(form: YamlFormat, text: str | bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read(form, text)


def test_a_yaml_bomb_is_not_expanded() -> None:
    bomb = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 100))
    assert texts(YamlFormat(), bomb) == ["lol", "lol"]


@pytest.mark.parametrize(
    ("form", "data", "text", "new", "wanted"),
    [
        pytest.param(
            PropertiesFormat(), b"a=caf\xe9 %s\n", "café %s", "thé %s €", b"a=th\\u00e9 %s \\u20ac\n", id="ISO 8859-1"
        ),
        pytest.param(
            PropertiesFormat(), b"a=It''s {0}\n", "It's {0}", "L'{0}", b"a=L''{0}\n", id="doubled apostrophes"
        ),
        pytest.param(PropertiesFormat(), b"a=All {0}\n", "All {0}", "L'{0}", b"a=L''{0}\n", id="arguments"),
        pytest.param(PropertiesFormat(), b"a=It's {0}\n", "It's {0}", "L'{0}", b"a=L'{0}\n", id="no MessageFormat"),
        pytest.param(PropertiesFormat(), b"a=It's\n", "It's", "L'a", b"a=L'a\n", id="no arguments"),
        pytest.param(AppleStringsFormat(), b"a = b.c;", "b.c", "x", b'a = "x";', id="no quotes"),
        pytest.param(AppleStringsFormat(), rb'"a" = "\Ud83d\Ude00 b";', "😀 b", "x", b'"a" = "x";', id="two halves"),
        pytest.param(
            AppleStringsFormat(),
            '"a" = "b";'.encode("utf-16-be"),
            "b",
            "é",
            '"a" = "é";'.encode("utf-16-be"),
            id="no mark",
        ),
        pytest.param(YamlFormat(), b"a: One\n", "One", "Été un", "a: Été un\n".encode(), id="plain YAML"),
        pytest.param(YamlFormat(), b"a: One\n", "One", "no", b'a: "no"\n', id="a truth value of YAML"),
    ],
)
def test_what_a_value_is_and_how_it_is_written(
    form: YamlFormat, data: bytes, text: str, new: str, wanted: bytes
) -> None:
    assert [one.text for one in read(form, data)] == [text]
    assert translated(form, data, {text: new}) == wanted


def test_half_a_character_is_no_text() -> None:
    assert not read(PropertiesFormat(), "a=\\ud83d b\n")


@pytest.mark.parametrize(
    ("data", "new", "wanted"),
    [
        pytest.param("a: &x One\nb: *x\n", {"One": "Un"}, "a: &x Un\nb: *x\n", id="anchor"),
        pytest.param("a: !!str &x One\nb: *x\n", {"One": "Un: y"}, 'a: !!str &x "Un: y"\nb: *x\n', id="anchor and tag"),
        pytest.param("a: &x |\n  One\nb: *x\n", {"One\n": "Un\n"}, "a: &x |\n  Un\nb: *x\n", id="anchor of a block"),
    ],
)
def test_anchors_stay_with_their_values(data: str, new: dict[str, str], wanted: str) -> None:
    assert translated(YamlFormat(), data, new).decode() == wanted


RAILS = """# A catalogue
en:
  files:
    one: "%{count} file"
    other: "%{count} files"
  flow: {one: One, other: "Many"}
  lone:
    other: All
  words:
    one: Only
    three: Three
  en: x
"""
POLISH = Options(source_language="en", target_language="pl")


def test_a_catalogue_of_rails_gets_the_language_and_its_forms() -> None:
    found = {one.id: one.text for one in read(YamlFormat(), RAILS, POLISH)}
    forms = ("one", "few", "many", "other")
    assert list(found) == [
        *(f"/en/files/{form}" for form in forms),
        *(f"/en/flow/{form}" for form in forms),
        *(f"/en/lone/{form}" for form in forms),
        "/en/words/one",
        "/en/words/three",
        "/en/en",
    ]
    assert [found[f"/en/files/{form}"] for form in forms] == ["%{count} file", *["%{count} files"] * 3]
    new = {"/en/files/few": "%{count} pliki", "/en/flow/one": "Jeden", "/en/lone/many": "no"}
    assert translated(YamlFormat(), RAILS, new, POLISH).decode() == RAILS.replace("\nen:", "\npl:").replace(
        '    other: "%{count} files"',
        '    few: "%{count} pliki"\n    many: "%{count} files"\n    other: "%{count} files"',
    ).replace('{one: One, other: "Many"}', '{one: Jeden, few: "Many", many: "Many", other: "Many"}').replace(
        "    other: All\n", '    one: All\n    few: All\n    many: "no"\n    other: All\n'
    )
    assert translated(YamlFormat(), RAILS, {}, POLISH).decode() == RAILS.replace("\nen:", "\npl:")
    assert translated(YamlFormat(), RAILS, {}).decode() == RAILS


def test_the_first_key_stays_if_it_is_no_language_of_the_source() -> None:
    for data in ("fr:\n  a: One\n", "en:\n  a: One\nde:\n  a: One\n", "en: One\nb: Two\n"):
        assert translated(YamlFormat(), data, {}, POLISH).decode() == data
