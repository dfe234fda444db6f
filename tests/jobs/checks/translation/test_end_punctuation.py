"""End marks that differ from the source's, and equivalent marks of many languages."""

# ruff: noqa: RUF001 - marks of other scripts

import pytest

from tests.support.checking import pointed_at, translated

CODE = "end_punctuation"


@pytest.mark.parametrize(
    ("languages", "source", "target", "place"),
    [
        ("en de", "Do you?", "Du.", "."),
        ("en zh", "Go on.", "继续", "续"),
        ("en ar", "Go on", "تابع.", "."),
        ("en el", "Go on.", "Συνέχισε;", ";"),
        ("en ja", "Really?", "本当です。", "。"),
        ("en hi", "Really?", "सच।", "।"),
        ("en fr", "Go!", "Allez", "z"),
        ("en fr", "Name:", "Nom", "m"),
        ("en ru", "Loading…", "Загрузка.", "."),
        ("en de", "Wait….", "Warte.", "."),
        ("en es", "(See below.)", "(Véase abajo)", "o"),
        ("en de", "Title", "„Titel.“", "."),
        ("zh en", "你好吗？", "How are you.", "."),
        ("en de", "<b>Go!</b>", "<b>Geh</b>", "h"),
    ],
)
def test_another_mark_is_found(languages: str, source: str, target: str, place: str) -> None:
    (finding,) = translated(CODE, source, target, languages)
    assert finding.severity == "review"
    assert pointed_at([finding], target) == [place]


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        ("en zh", "Go on.", "继续。"),
        ("en ja", "Really?", "本当ですか。"),
        ("en ja", "Really?", "本当？"),
        ("en hi", "Go on.", "जारी रखें।"),
        ("en ur", "Really? Yes.", "واقعی؟ ہاں۔"),
        ("en ar", "Really?", "حقًا؟"),
        ("en el", "Really?", "Αλήθεια;"),
        ("el en", "Αλήθεια;", "Really?"),
        ("en fr", "Really?", "Vraiment ?"),
        ("en fr", "Really?", "Vraiment\u202f?"),
        ("en fr", "Name:", "Nom :"),
        ("en es", "Go!", "¡Vamos!"),
        ("en zh", "Wait...", "等等……"),
        ("en de", "Wait...", "Warte …"),
        ("en th", "Go on.", "ไปต่อ"),
        ("th en", "ไปต่อ", "Go on."),
        ("en hy", "Really?", "Իսկապե՞ս։"),
        ("en de", 'He said "go."', "Er sagte: „Geh“."),
        ("en ja", 'He said "go."', "「行け。」と言った。"),
        ("en de", "At Apple Inc.", "Bei Apple"),
        ("en de", "Opens at 5 a.m.", "Öffnet um 5 Uhr"),
        ("en de", "books and so on", "Bücher usw."),
        ("en ru", "in 1985", "в 1985 г."),
        ("en hu", "May 5", "május 5."),
        ("en de", "Great! 🎉", "Toll! 🎉"),
        ("en de", "Great!", "**Toll!**"),
        ("en he", "Go!", "לך!\u200f"),
        ("en de", "What?!", "Was?"),
        ("en de", "...", "!"),
        ("en de", "", ""),
    ],
)
def test_the_mark_of_the_language_passes(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


def test_each_line_is_compared_with_its_line() -> None:
    source, target = "One.\n\nTwo?\nThree", "Eins.\n\nZwei.\nDrei!"
    assert pointed_at(translated(CODE, source, target), target) == [".", "!"]


def test_texts_with_other_numbers_of_lines_are_compared_at_their_ends() -> None:
    assert translated(CODE, "One.\nTwo?", "Eins und zwei?") == []
    assert len(translated(CODE, "One.\nTwo?", "Eins und zwei.")) == 1


def test_the_message_names_both_marks() -> None:
    (finding,) = translated(CODE, "Do you?", "Du.")
    assert finding.message == "the line ends with a full stop, its source with a question mark"


def test_code_of_markdown_has_no_end_marks() -> None:
    assert translated(CODE, "Run `a.`", "Führe `a.` aus", format="markdown") == []
