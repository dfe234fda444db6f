"""Shows jobs/checks/cutting.py: sentences with faults are cut, and the rest stays whole."""

import pytest

from jobs.checks.cutting import without_findings, without_last_sentence
from jobs.findings import Finding, Place, Severity

START = 12
"""The position of the text in its field."""


def found(text: str, words: str, code: str = "gap") -> Finding:
    start = text.index(words) + START
    place = Place(field="body_markdown", start=start, end=start + len(words))
    return Finding(code=code, severity=Severity.FAIL, message="no", where=place)


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("One is here. Two has a [gap]. Three is there too.", "[gap]", "One is here. Three is there too."),
        ("Two has a [gap]. One is here. Three is there.", "[gap]", "One is here. Three is there."),
        ("One is here. Three is there. Two [gap].", "[gap]", "One is here. Three is there."),
        ("First is one.\n\nAlone [gap].\n\nLast of all, three.", "[gap]", "First is one.\n\nLast of all, three."),
        ("- one is here\n- two [gap]\n- three is there", "[gap]", "- one is here\n- three is there"),
        ("1. one is here\n2. two [gap]\n3. three is there", "[gap]", "1. one is here\n3. three is there"),
        ("Brot ist da. Hier fehlt [Name]. Wasser ist auch da.", "[Name]", "Brot ist da. Wasser ist auch da."),
        ("面包在这里。这里有[名字]。水也在这里。", "[名字]", "面包在这里。水也在这里。"),
        ("Хлеб здесь лежит. Тут [Имя] нет. Вода тоже здесь.", "[Имя]", "Хлеб здесь лежит. Вода тоже здесь."),
    ],
)
def test_the_sentence_of_a_finding_is_cut(text: str, words: str, left: str) -> None:
    shorter, cut = without_findings(text, [found(text, words)], START, "en")
    assert shorter == left
    assert any(words in sentence for sentence in cut)


def test_a_text_that_would_lose_too_much_stays() -> None:
    text = "One has a [gap]. Two."
    assert without_findings(text, [found(text, "[gap]")], START, "en") == (text, [])


@pytest.mark.parametrize("code", ["wrong_language", "sections_alike", "secret", "words_off_target"])
def test_other_faults_are_not_mended_by_a_cut(code: str) -> None:
    text = "One is here. Two is bad. Three is there."
    assert without_findings(text, [found(text, "bad", code)], START, "en") == (text, [])


def test_a_finding_elsewhere_cuts_nothing() -> None:
    text = "One is here. Two is bad. Three is there."
    far = Finding(code="gap", severity=Severity.FAIL, message="no", where=Place(field="body_markdown", start=0, end=3))
    nowhere = Finding(code="gap", severity=Severity.FAIL, message="no")
    assert without_findings(text, [far, nowhere], START, "en") == (text, [])


@pytest.mark.parametrize(
    ("text", "left", "last"),
    [
        ("One. Two is last.", "One.", "Two is last."),
        ("One.\n\n- two\n- three", "One.\n\n- two", "- three"),
        ("Only one.", "Only one.", ""),
        ("", "", ""),
    ],
)
def test_the_last_sentence_is_cut(text: str, left: str, last: str) -> None:
    assert without_last_sentence(text, "en") == (left, last)
