"""Shows jobs/marks/keeping.py: what is damage to marks, and what a language may need."""

import time

import pytest

from jobs.marks.damage import Damaged
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept, check_whole, sure_marks


def check(source: str, target: str, language: str = "de") -> None:
    marks = find_marks(source, language="en")
    check_whole(target, marks, sure_marks(source, marks, "en"), language)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param("Hi $name now", "Hallo $names jetzt", id="letters behind a variable"),
        pytest.param("Delete :count rows", "Lösche :counts Zeilen", id="letters behind a colon"),
        pytest.param("%1 of %2", "%12 von %2", id="a digit behind a number"),
        pytest.param(
            "See https://a.example/x now", "Siehe https://a.example/xund jetzt", id="letters behind an address"
        ),
        pytest.param("Mail me@a.example now", "Mail anme@a.example jetzt", id="letters before an address"),
        pytest.param("Hi {name}", "Hallo {name} {name}", id="twice"),
        pytest.param("Hi %s", "Hallo %s, %s", id="twice by position"),
        pytest.param("A <b>word</b>", "Ein <b>Wort</b> <b>mehr</b>", id="tags twice"),
        pytest.param("Hi {name}", "Hallo", id="lost"),
    ],
)
def test_damage_is_found(source: str, target: str) -> None:
    with pytest.raises(Damaged):
        check(source, target)


@pytest.mark.parametrize(
    ("source", "target", "language"),
    [
        pytest.param("Total :count items", "共 :count个", "zh", id="no space in Chinese"),
        pytest.param("Hi {name}", "{name}さん", "ja", id="a suffix behind braces"),
        pytest.param("Hi %s", "%s님", "ko", id="a suffix behind printf"),
        pytest.param("%1$s of %2$s", "%2$s: %1$s", "de", id="numbers may move"),
        pytest.param("A <b>word</b> {n}", "{n}<b>Wort</b>", "de", id="side by side"),
        pytest.param("{a} {a}", "{a}{a}", "de", id="as often"),
        pytest.param("Save 5 % of {a}", "Spare 5 % der {a}", "de", id="a percentage"),
    ],
)
def test_what_a_language_needs_is_no_damage(source: str, target: str, language: str) -> None:
    check(source, target, language)


def test_seven_thousand_marks_are_split_soon() -> None:
    text = " ".join(f"a {{name{n}}}" for n in range(7_000))
    marks = find_marks(text)
    assert len(marks) == 7_000
    began = time.process_time()
    check_kept(text, marks)
    assert time.process_time() - began < 2
