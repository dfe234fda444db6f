"""Translations of ICU messages: not valid, or without a plural form of their language."""

import pytest

from jobs.checks.translation.icu_invalid import plural_numbers
from tests.support.checking import pointed_at, translated

CODE = "icu_invalid"
FILES = "{n, plural, one {# file} other {# files}}"


@pytest.mark.parametrize(
    ("language", "target", "message", "place"),
    [
        ("de", "{n, plural, one {# Datei} other {# Dateien}", "an argument is not closed", "{"),
        ("de", "{n, plural, one {# Datei} andere {# Dateien}}", "has no form 'other'", "{"),
        ("de", "{n, plural, eins {#} other {#}}", "lacks one, which de needs", "{n, plural, eins {#} other {#}}"),
        ("en", "{n, plural, one {#} few {#} other {#}}", "has few, which en does not", None),
        ("ru", "{n, plural, one {# файл} other {# файлов}}", "lacks few, many, which ru needs", None),
        ("ru", "{n, plural, one {#} few {#} other {#}}", "lacks many, which ru needs", None),
        ("ar", "{n, plural, one {ملف} other {# ملفات}}", "lacks zero, two, few, many", None),
        ("pl", "{n, plural, one {#} many {#} other {#}}", "lacks few, which pl needs", None),
        ("he", "{n, plural, one {#} other {#}}", "lacks two, which he needs", None),
        ("hi", "{n, plural, other {#}}", "lacks one, which hi needs", None),
        ("fr", "{n, plural, one {# d'{x}} other {#}}", "an apostrophe before a brace", "{"),
    ],
)
def test_a_faulty_message_is_found(language: str, target: str, message: str, place: str | None) -> None:
    findings = translated(CODE, FILES, target, f"en {language}")
    assert any(message in finding.message for finding in findings)
    assert place is None or place in pointed_at(findings, target)


@pytest.mark.parametrize(
    ("language", "target"),
    [
        ("ru", "{n, plural, one {# файл} few {# файла} many {# файлов} other {# файла}}"),
        ("ru", "{n, plural, =0 {нет} one {#} few {#} many {#} other {#}}"),
        ("ja", "{n, plural, other {#個}}"),
        ("ja", "{n, plural, one {#個} other {#個}}"),  # copied from the source, and never chosen
        ("es", "{n, plural, one {# archivo} other {# archivos}}"),
        ("es", "{n, plural, one {# archivo} many {# de archivos} other {# archivos}}"),
        ("cs", "{n, plural, one {#} few {#} other {#}}"),
        ("de", "{n, plural, =1 {eine Datei} other {# Dateien}}"),
        ("ar", "{n, plural, =0 {a} one {b} =2 {c} few {d} many {e} other {f}}"),
        ("xx", "{n, plural, other {#}}"),
        ("pt-BR", "{n, plural, one {#} other {#}}"),
        ("zh-Hant", "{n, plural, other {#}}"),
    ],
)
def test_the_forms_of_a_language_pass(language: str, target: str) -> None:
    assert translated(CODE, FILES, target, f"en {language}") == []


@pytest.mark.parametrize("source", ["Hello {name}", "{n, plural, one {#}", "a { b"])
def test_a_source_that_is_no_valid_message_is_not_judged(source: str) -> None:
    assert translated(CODE, source, "{n, plural, ") == []


def test_a_choice_by_word_needs_no_plural_forms() -> None:
    source = "{g, select, male {He} other {They}}"
    assert translated(CODE, source, "{g, select, male {Он} other {Они}}", "en ru") == []


def test_needed_categories_are_those_of_whole_numbers() -> None:
    assert list(plural_numbers("cs") or {}) == ["one", "few", "other"]
    assert list(plural_numbers("fr") or {}) == ["one", "other"]
    assert plural_numbers("xx") is None
    assert plural_numbers(None) is None
