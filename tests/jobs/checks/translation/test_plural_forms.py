"""Plural forms of gettext files: too few, too many, empty ones, all the same."""

import pytest

from jobs.checks.translation.plural_forms import form_counts, plural_faults

FILES = ("%d file", "%d files")


@pytest.mark.parametrize(
    ("language", "target", "count", "message"),
    [
        ("ru", ("%d файл", "%d файлов"), None, "has 2 plural forms, and 3 are needed"),
        ("ru", ("a", "b", "c", "d"), 3, "has 4 plural forms, and 3 are needed"),
        ("de", ("%d Datei",), None, "has 1 plural form, and 2 are needed"),
        ("ja", ("a", "b"), None, "has 2 plural forms, and 1 are needed"),
        ("ar", ("a", "b", "c", "d", "e"), None, "has 5 plural forms, and 6 are needed"),
        ("de", ("%d Datei", " "), None, "the plural form 1 is empty"),
        ("de", ("%d Datei", "%d Datei"), None, "all 2 plural forms are '%d Datei'"),
        ("pl", ("x", "x", "x"), None, "all 3 plural forms are 'x'"),
    ],
)
def test_faults_are_found(language: str, target: tuple[str, ...], count: int | None, message: str) -> None:
    assert [message in fault.message for fault in plural_faults(FILES, target, language, count)] == [True]


@pytest.mark.parametrize(
    ("language", "target", "count"),
    [
        ("ru", ("%d файл", "%d файла", "%d файлов"), None),
        ("de", ("%d Datei", "%d Dateien"), None),
        ("ja", ("%d個",), None),
        ("fr", ("%d fichier", "%d fichiers"), None),
        ("fr", ("%d fichier", "%d fichiers", "%d de fichiers"), None),
        ("hu", ("%d fájl", "%d fájl"), None),
        ("tr", ("%d dosya", "%d dosya"), None),
        ("xx", ("a", "b", "c", "d"), None),
        ("sl", ("a", "b", "c", "d"), 4),
    ],
)
def test_right_forms_pass(language: str, target: tuple[str, ...], count: int | None) -> None:
    assert list(plural_faults(FILES, target, language, count)) == []


def test_forms_may_be_the_same_as_in_the_source() -> None:
    assert list(plural_faults(("sheep", "sheep"), ("x", "x"), "de")) == []


def test_unknown_languages_have_no_count() -> None:
    assert form_counts("xx") == frozenset()
    assert form_counts(None) == frozenset()
    assert form_counts("pt-BR") == {2, 3}
