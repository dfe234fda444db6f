"""Lines that were left untranslated, and names, code and shared words that are rightly the same in both languages."""

import pytest

from tests.support.checking import pointed_at, translated

CODE = "untranslated"


@pytest.mark.parametrize(
    ("languages", "text"),
    [
        ("en de", "Save your changes"),
        ("en de", "Save Changes"),
        ("en fr", "Terms of Service and more"),
        ("en ja", "Water the tomatoes in the morning."),
        ("de en", "Gießen Sie die Tomaten."),
        ("ru en", "Сохранить изменения"),
        ("el en", "Αποθήκευση αλλαγών"),
        ("zh en", "保存您的更改"),
        ("ar en", "حفظ التغييرات"),
        ("hi en", "परिवर्तन सहेजें"),
        ("ko en", "변경 사항 저장"),
        ("th en", "บันทึกการเปลี่ยนแปลง"),
        ("ru el", "Владимир Иванов"),
        ("en de", "Hello {name}, welcome"),
    ],
)
def test_a_line_that_is_still_its_source_is_found(languages: str, text: str) -> None:
    (finding,) = translated(CODE, text, text, languages)
    assert finding.severity == "review"
    assert pointed_at([finding], text) == [text]


@pytest.mark.parametrize(
    ("languages", "text"),
    [
        ("en de", "New York Times"),
        ("en ja", "Google Drive"),
        ("en fr", "Leonardo da Vinci"),
        ("en de", "Online-Shop Status: OK"),
        ("en it", "Hotel Bar"),
        ("en de", "npm install nightpress"),
        ("en de", "git commit -m fix"),
        ("en ru", "run_all(tests, quickly);"),
        ("en de", "{first} {last} 123"),
        ("en de", "https://example.com/save-your-changes info@example.com"),
        ("en-US en-GB", "Save your changes"),
        ("pt-PT pt-BR", "Guardar as suas alterações"),
        ("zh ja", "東京都新宿区"),
        ("en de", "Save"),
        ("en de", "12 34"),
        ("en de", "   "),
    ],
)
def test_what_is_rightly_the_same_passes(languages: str, text: str) -> None:
    assert translated(CODE, text, text, languages) == []


def test_a_line_among_others_is_pointed_at() -> None:
    source = "One line here.\n\n  This stays English, sadly.  \nMore of it."
    target = "Eine Zeile.\n\n  This stays English, sadly.  \nMehr davon."
    assert pointed_at(translated(CODE, source, target), target) == ["This stays English, sadly."]


def test_case_and_the_full_stop_do_not_hide_it() -> None:
    assert translated(CODE, "Save your changes.", "save your  changes")


def test_terms_that_the_glossary_keeps_do_not_count() -> None:
    assert translated(CODE, "fast lane pro", "fast lane pro")
    assert not translated(CODE, "fast lane pro", "fast lane pro", glossary={"Fast Lane": "fast lane"})
    assert translated(CODE, "fast lane pro", "fast lane pro", glossary={"fast lane": "Überholspur"})


def test_the_fewest_words_are_a_limit() -> None:
    assert not translated(CODE, "settings", "settings", limits={"min_words": 2})
    assert translated(CODE, "settings", "settings", limits={"min_words": 1})
    assert translated(CODE, "your settings", "your settings", limits={"min_words": 2})
    assert not translated(CODE, "your settings", "your settings", limits={"min_words": 3})
    assert translated(CODE, "保存更改", "保存更改", "zh en", limits={"min_words": 2})
    assert not translated(CODE, "保存更", "保存更", "zh en", limits={"min_words": 2})


def test_code_of_markdown_is_the_same() -> None:
    text = "```\nwater the tomatoes\n```\n"
    assert translated(CODE, text, text, format="markdown") == []
    assert translated(CODE, text, text)


def test_texts_with_other_numbers_of_lines_are_compared_whole() -> None:
    assert translated(CODE, "Save your\nchanges", "Save your changes")
    assert not translated(CODE, "Save your\nchanges", "Änderungen sichern")
