"""Markup: tags, attributes, code, links and marks of Markdown that a translation lost, changed or added."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import pointed_at, translated

CODE = "markup_changed"


@pytest.mark.parametrize(
    ("languages", "source", "target", "places"),
    [
        pytest.param("en de", "<b>a</b> b", "<b>a b", [""], id="closing-tag-lost"),
        pytest.param("en ru", "a <br/> b", "а б", [""], id="empty-tag-lost"),
        pytest.param("en de", "<b>a</b> b", "</b>a<b> b", ["</b>"], id="nested-wrongly"),
        pytest.param("en de", "<b>a<br>c</b>", "</b>a<br>c<b>", ["</b>"], id="nested-wrongly-around-a-void-tag"),
        pytest.param("en zh", "<b><i>a</i></b>", "<b><i>甲</b></i>", ["</b>"], id="crossed"),
        pytest.param("en de", '<a href="/en">a</a>', '<a href="/de">a</a>', ["", '<a href="/de">'], id="attribute"),
        pytest.param("en de", '<a class="x">a</a>', '<a class="X">a</a>', ["", '<a class="X">'], id="case-of-value"),
        pytest.param("en ar", "a", "<p>أ</p>", ["</p>", "<p>"], id="tags-added"),
        pytest.param("en de", "<b>a</b>", "<B>a</B>", ["", "", "</B>", "<B>"], id="case-of-name"),
        pytest.param("en fr", "Click <0>here</0>.", "Cliquez <1>ici</1>.", ["", "", "</1>", "<1>"], id="numbered"),
        pytest.param("en fr", "a <!-- x --> b", "a b", [""], id="comment-lost"),
        pytest.param("en fr", "<code>run()</code>", "<code>lancer()</code>", ["", "lancer()"], id="code"),
        pytest.param("en el", '<xliff:g id="n">x</xliff:g>', "χ", ["", ""], id="android"),
        pytest.param("en hi", '<x id="1"/> a', '<x id="2"/> अ', ["", '<x id="2"/>'], id="xliff"),
    ],
)
def test_changed_tags_are_found(languages: str, source: str, target: str, places: list[str]) -> None:
    findings = translated(CODE, source, target, languages)
    assert pointed_at(findings, target) == places
    assert all(finding.severity == "fail" for finding in findings)


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        pytest.param("en de", "The <b>red</b> <i>book</i>", "Das <i>Buch</i> ist <b>rot</b>", id="moved"),
        pytest.param("en de", '<a title="Read">a</a>', '<a title="Lies">a</a>', id="title"),
        pytest.param("en ja", '<img src="a.png" alt="A cat">', '<img src="a.png" alt="猫">', id="alt"),
        pytest.param("en de", "Use <your name> here.", "Hier <Ihr Name> angeben.", id="a-gap-in-angle-brackets"),
        pytest.param("en ru", "a < b, c > d, 1 <3", "а < б, в > г, 1 <3", id="less-than"),
        pytest.param("en de", "<p>a<br>b", "<p>a<br>b", id="void-and-unclosed-in-both"),
        pytest.param("en ar", "plain", "نص", id="none"),
    ],
)
def test_the_words_around_tags_may_change(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


@pytest.mark.parametrize(
    ("languages", "source", "target", "places"),
    [
        pytest.param("en ja", "Run `npm i` now", "`npm`を実行", ["", "`npm`"], id="code"),
        pytest.param("en de", "[a](https://x.org/a)", "[b](https://x.org/b)", ["", "https://x.org/b"], id="link"),
        pytest.param("en de", "[a](/a)", "a", [""], id="link-lost"),
        pytest.param("en de", "![a](/a.png)", "[a](/a.png)", ["", "/a.png"], id="image-became-a-link"),
        pytest.param("en ru", "[a][ref]\n\n[ref]: /a", "[а][реф]\n\n[реф]: /a", ["", "", "реф", "/a"], id="reference"),
        pytest.param("en de", "# A", "A", [""], id="heading"),
        pytest.param("en de", "## A", "### A", ["", "###"], id="level"),
        pytest.param("en zh", "- a\n- b", "- 甲\n乙", [""], id="item"),
        pytest.param("en de", "```py\nx = 1\n```\na", "```py\ny = 1\n```\na", ["", "```py\ny = 1\n```"], id="fence"),
        pytest.param("en hi", "> a", "अ", [""], id="quote"),
    ],
)
def test_changed_markdown_is_found(languages: str, source: str, target: str, places: list[str]) -> None:
    findings = translated(CODE, source, target, languages, format="markdown")
    assert sorted(pointed_at(findings, target)) == sorted(places)
    assert all(finding.severity == "fail" for finding in findings)


def test_lost_emphasis_is_for_review() -> None:
    (finding,) = translated(CODE, "a **b** c", "a b c", format="markdown")
    assert (finding.severity, finding.measured, finding.limit) == ("review", 2, 2)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("# A\n\n1. one\n2. two\n\n* x\n", "# B\n\n1. eins\n2. zwei\n\n* x\n"),
        ("* a\n+ b", "- a\n- b"),
        ('[a](/a "Title")', '[b](/a "Titel")'),
        ("[a](<https://x.org/a>)", "[b](https://x.org/a)"),
        ("`<b>` is a tag", "Ein Tag ist `<b>`"),
        ("```\n<b>\n```", "```\n<b>\n```"),
        ("``a`b``", "``a`b``"),
        ("2**3 and a|b", "2**3 und a|b"),
        ("a\n-b", "a\n-b"),
    ],
)
def test_markdown_that_is_kept_passes(source: str, target: str) -> None:
    assert translated(CODE, source, target, format="markdown") == []


def test_in_a_plain_text_marks_of_markdown_are_words() -> None:
    assert translated(CODE, "# A `x` [a](b)", "A x") == []


def test_the_forms_of_an_icu_message_may_repeat_a_tag() -> None:
    source = "{n, plural, one {<b>#</b> file} other {<b>#</b> files}}"
    target = "{n, plural, other {<b>#</b>個}}"
    assert translated(CODE, source, target, "en ja") == []
    assert len(translated(CODE, source, "{n, plural, other {#個}}", "en ja")) == 2


def test_a_message_quotes_a_long_mark_in_part() -> None:
    (finding,) = translated(CODE, f"<a href='{'x' * 500}'>", "a")
    assert len(finding.message) < 150
