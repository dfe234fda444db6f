"""Shows jobs/marks/: what a translation keeps is found, hidden, put back, and missed."""

# ruff: noqa: RUF001 - letters of other scripts

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.marks.damage import Damaged
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept, split_at_marks
from jobs.marks.mark import Mark, Role
from jobs.marks.masking import Style, mask

PIECES = [
    "%s", "%(name)s", "%1$d", "{0}", "{name}", "{{ user.first_name }}", "$var", "%{count}", "<%= name %>", "{% if x %}",
    "<b>", "</b>", "<1>", "</1>", '<x id="1"/>', "`code`", "&nbsp;", "https://example.org/a?b=1", "a@example.org", "%@",
    "${x}", ":tada:", "{# no #}",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from([*PIECES, " ", "word", "Zwölf ", "XQA", "5 % ", "\n"]), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        pytest.param("Hi %s, %d new", ["%s", "%d"], id="printf"),
        pytest.param("%(count)d of %(all)s", ["%(count)d", "%(all)s"], id="Python"),
        pytest.param("{name} has {0} and {n:>5}", ["{name}", "{0}", "{n:>5}"], id="braces"),
        pytest.param("{{ user.first_name }}, {% if x %}hi{% endif %}", 3, id="Jinja"),
        pytest.param("Hello $name and ${other}", ["$name", "${other}"], id="shell"),
        pytest.param("Delete :count rows", [":count"], id="Laravel"),
        pytest.param("%{count} files", ["%{count}"], id="Ruby"),
        pytest.param("%1 of %2, %n left", ["%1", "%2", "%n"], id="Qt"),
        pytest.param("%@ sent %1$@", ["%@", "%1$@"], id="iOS"),
        pytest.param("Dear <%= @user.name %>,", ["<%= @user.name %>"], id="ERB"),
        pytest.param('A <g id="1">word</g><x id="2"/>', ['<g id="1">', "</g>", '<x id="2"/>'], id="XLIFF"),
        pytest.param("Read <1>this</1>", ["<1>", "</1>"], id="numbered tags"),
        pytest.param("a &amp; b &#8364;", ["&amp;", "&#8364;"], id="references"),
        pytest.param("Run `make %s`", ["`make %s`"], id="code holds a placeholder"),
        pytest.param("See https://example.org/%s now", 1, id="an address holds a placeholder"),
        pytest.param("100 % of it, at 12:30:45", [], id="prose"),
        pytest.param("Save 50% on $5 items", [], id="prices"),
    ],
)
def test_marks_are_found(text: str, marks: list[str] | int) -> None:
    found = [one.text for one in find_marks(text)]
    assert (len(found) if isinstance(marks, int) else found) == marks
    assert all(text[one.start : one.end] == one.text for one in find_marks(text))


@given(TEXTS, st.sampled_from(["letters", "private"]))
def test_what_was_masked_comes_back(text: str, style: Style) -> None:
    masked = mask(text, find_marks(text), style)
    assert len(set(masked.signs)) == len(masked.signs)
    assert all(sign not in text for sign in masked.signs)
    assert masked.restore(masked.text) == text
    if style == "letters":
        for sign in masked.signs:
            assert masked.restore(masked.text.replace(sign, sign.lower())) == text


@given(TEXTS, st.data())
def test_a_lost_or_doubled_mark_is_missed(text: str, data: st.DataObject) -> None:
    masked = mask(text, find_marks(text))
    if masked.signs:
        sign = data.draw(st.sampled_from(masked.signs))
        for damaged in (masked.text.replace(sign, "", 1), f"{masked.text} {sign}"):
            with pytest.raises(Damaged):
                masked.restore(damaged)


@given(TEXTS)
def test_a_text_keeps_its_own_marks(text: str) -> None:
    parts = check_kept(text, find_marks(text))
    assert "".join(one if isinstance(one, str) else one.text for one in parts) == text


@pytest.mark.parametrize(
    ("text", "answer", "message"),
    [
        pytest.param("%s sent %d", "%d sent %s", "keep their order", id="placeholders without numbers"),
        pytest.param("a <b>word</b>", "a </b>word<b>", "not in order", id="tags"),
        pytest.param("<b>a</b> <i>b</i>", "<b>a <i>b</b></i>", "not in order", id="tags across each other"),
        pytest.param("Hi {name}", "Hallo {nom}", "lost '{name}'", id="translated"),
        pytest.param("{a} {a}", "{a}", "lost '{a}'", id="one of two"),
    ],
)
def test_damage_is_told(text: str, answer: str, message: str) -> None:
    with pytest.raises(Damaged, match=message):
        check_kept(answer, find_marks(text))


def test_numbered_placeholders_and_tags_may_move() -> None:
    for text, answer in (
        ("%1$s of %2$s", "%2$s: %1$s"),
        ("<b>a</b> <i>b</i>", "<i>B</i> <b>A</b>"),
        ("{a} {b}", "{b}{a}"),
    ):
        check_kept(answer, find_marks(text))


def test_of_marks_alike_the_order_of_the_source_decides() -> None:
    marks = [
        Mark(0, 1, "*", Role.OPENS),
        Mark(1, 3, "**", Role.OPENS),
        Mark(4, 6, "**", Role.CLOSES),
        Mark(6, 7, "*", Role.CLOSES),
    ]
    assert [one if isinstance(one, str) else one.text for one in split_at_marks("***x***", marks)] == [
        "", "*", "", "**", "x", "**", "", "*", "",
    ]  # fmt: skip


def test_many_marks_get_signs_of_one_length() -> None:
    text = " ".join(f"{{a{n}}}" for n in range(700))
    masked = mask(text, find_marks(text))
    assert len({len(sign) for sign in masked.signs}) == 1
    assert masked.restore(masked.text) == text
    hostile = "XQ QX ZQ QZ XZQ QXZ ZXQ QZX XQZX QXZQ {a}"
    assert mask(hostile, find_marks(hostile)).restore(mask(hostile, find_marks(hostile)).text) == hostile


@pytest.mark.parametrize(
    ("text", "shown", "answer", "restored"),
    [
        pytest.param("<b>Save</b>", "XQA Save XQB", "XQA Sichern XQB", "<b>Sichern</b>", id="tags around a word"),
        pytest.param("a <b>big</b> x", "a XQA big XQB x", "ein XQA großes XQB x", "ein <b>großes</b> x", id="within"),
        pytest.param("{n}ms left", "XQA ms left", "noch XQA ms", "noch {n}ms", id="a unit"),
        pytest.param("{n}ms left", "XQA ms left", "noch XQA Minuten", "noch {n} Minuten", id="another unit"),
        pytest.param("USD{n}", "USD XQA", "XQA USD", "{n} USD", id="a currency that moves"),
        pytest.param("one<br>two", "one XQA two", "eins XQA zwei", "eins<br>zwei", id="a tag between words"),
        pytest.param("共{n}个", "共 XQA 个", "XQA in all", "{n} in all", id="no spaces in the source"),
        pytest.param("{a}{b} x", "XQA x", "x XQA", "x {a}{b}", id="side by side"),
        pytest.param("{a} x", "XQA x", "xqa X", "{a} X", id="in lower case"),
        pytest.param("{a} x", "XQA x", "X-Q-A x", "{a} x", id="hyphens between"),
        pytest.param("{a} x", "XQA x", "x XQ A", "x {a}", id="a space between"),
        pytest.param("{i} x", "XQA x", "\u202bXQA\u202c x", "\u202b{i}\u202c x", id="marks of direction"),
    ],
)
def test_a_sign_stands_apart_from_words(text: str, shown: str, answer: str, restored: str) -> None:
    masked = mask(text, find_marks(text))
    assert masked.text == shown
    assert masked.restore(masked.text) == text
    assert masked.restore(answer) == restored


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param("XQA", "lost '{b}'", id="lost"),
        pytest.param("XQA XQB XQB", "'{b}' stands more than once", id="twice"),
        pytest.param("XQA XQB XQC", "'XQC' stands for nothing", id="made up"),
        pytest.param("XQA XQB XQ", "'XQ' stands for nothing", id="half of one"),
        pytest.param("XQA XQB X Q A", "'X Q A' stands for nothing", id="twice, with spaces"),
        pytest.param("XQAXQ B", "lost '{b}'", id="run into one"),
        pytest.param("ХQA XQB", "lost '{a}'", id="a letter of Cyrillic"),
        pytest.param("", "lost '{a}'; the translation lost '{b}'", id="nothing"),
    ],
)
def test_a_damaged_sign_is_told(answer: str, told: str) -> None:
    with pytest.raises(Damaged, match=re.escape(told)):
        mask("{a} and {b}", find_marks("{a} and {b}")).restore(answer)


def test_damage_is_told_in_the_signs_that_a_model_sees() -> None:
    text = "{a} and {b}"
    masked = mask(text, find_marks(text), variant=1)
    assert masked.text == "QXA and QXB"
    with pytest.raises(Damaged) as raised:
        masked.restore("QXB")
    assert raised.value.told(masked.sign_of) == "the translation lost 'QXA'"
    assert [one.text for one in raised.value.marks] == ["{a}"]


@pytest.mark.parametrize("style", ["letters", "private"])
def test_signs_stand_neither_in_the_text_nor_beside_it(style: Style) -> None:
    text = "XQA \ue000 {a}"
    masked = mask(text, find_marks(text), style, beside="QXA \ue001")
    assert masked.signs == (("ZQA",) if style == "letters" else ("\ue002",))
    assert masked.restore(masked.text) == text


def test_more_marks_than_private_characters_get_letters() -> None:
    text = " ".join(f"{{a{n}}}" for n in range(7_000))
    masked = mask(text, find_marks(text), "private")
    assert masked.style == "letters"
    assert masked.restore(masked.text) == text


@pytest.mark.parametrize(
    "tag",
    [
        "{% with share='50% of it' %}",
        "{%- if done -%}",
        "{% trans 'it' %}",
    ],
)
def test_a_tag_of_a_template_is_one_mark(tag: str) -> None:
    assert [mark.text for mark in find_marks(f"Before {tag} behind.")] == [tag]
