"""Mended translations have the right white space and end marks, and the checks then find nothing."""

# ruff: noqa: RUF001 - marks of other scripts

import pytest

from jobs.checks.translation.mending import mended
from tests.support.checking import translated


@pytest.mark.parametrize(
    ("languages", "source", "target", "expected"),
    [
        ("en de", " Price: ", "Preis", " Preis: "),
        ("en de", "a\n", "b\n\n", "b\n"),
        ("en de", "Do you?", "Du.", "Du?"),
        ("en de", "Title", "Titel.", "Titel"),
        ("en zh", "Go on.", "继续", "继续。"),
        ("en zh", "Title", "标题。", "标题"),
        ("en ja", "Name:", "名前", "名前："),
        ("en hi", "Go on.", "जारी रखें", "जारी रखें।"),
        ("en ar", "Really?", "حقًا.", "حقًا؟"),
        ("en ur", "Go on.", "جاری رکھیں", "جاری رکھیں۔"),
        ("en el", "Really?", "Αλήθεια.", "Αλήθεια;"),
        ("en fr", "Really?", "Vraiment", "Vraiment\u202f?"),
        ("en fr", "Name:", "Nom.", "Nom\u00a0:"),
        ("en fr-CA", "Really?", "Vraiment", "Vraiment?"),
        ("en fr-CA", "Name:", "Nom", "Nom\u00a0:"),
        ("en ru", "Loading...", "Загрузка", "Загрузка…"),
        ("en de", '"Go."', "„Geh“", "„Geh.“"),
        ("en de", "Go.", "Geh (jetzt)", "Geh (jetzt)."),
        ("en de", "<b>Go!</b>", "<b>Geh</b>", "<b>Geh!</b>"),
        ("en de", "One.\nTwo?\n", "Eins\nZwei.", "Eins.\nZwei?\n"),
        ("en de", "What?!", "Was", "Was?!"),
    ],
)
def test_edges_and_end_marks_follow_the_source(languages: str, source: str, target: str, expected: str) -> None:
    source_language, language = languages.split()
    result = mended(source, target, language, source_language)
    assert result == expected
    codes = ("end_punctuation", "whitespace_edges")
    assert any(translated(code, source, target, languages) for code in codes)
    assert not any(translated(code, source, result, languages) for code in codes)
    assert mended(source, result, language, source_language) == result


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        ("en de", "Go on.", "Weiter."),
        ("en ja", "Really?", "本当ですか。"),
        ("en th", "Go on.", "ไปต่อ"),
        ("en de", "Opens at 5 a.m.", "Öffnet um 5 Uhr"),
        ("en de", "Title", "Titel!"),
        ("en de", "Go on.", " "),
        ("en de", "Go on.", ""),
        ("en ja", "Hi.", "\u3000やあ。"),
        ("en de", "123", "123."),
    ],
)
def test_what_is_right_or_cannot_be_mended_stays(languages: str, source: str, target: str) -> None:
    source_language, language = languages.split()
    assert mended(source, target, language, source_language) == target
