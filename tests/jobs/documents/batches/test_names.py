"""Shows jobs/documents/batches/names.py: safe names, the language that a name says, and names in another language."""

import pytest

from jobs.documents.batches.names import MOST_CHARACTERS, fault_of_name, name_in, said_language


@pytest.mark.parametrize(
    ("name", "form", "source", "target", "expected"),
    [
        ("messages.po", "po", "en", "fr", "fr/messages.po"),
        ("messages.pot", "po", "en", "pt-BR", "pt-BR/messages.po"),
        ("locale/en/LC_MESSAGES/django.po", "po", "en", "pt-BR", "locale/pt_BR/LC_MESSAGES/django.po"),
        ("locale/fr/LC_MESSAGES/django.po", "po", "en", "fr", "locale/fr/LC_MESSAGES/django.po"),
        ("locale/pt_BR/LC_MESSAGES/django.po", "po", "en", "pt-BR", "locale/pt_BR/LC_MESSAGES/django.po"),
        ("en.json", "json", "en", "pt-BR", "pt-BR.json"),
        ("messages.en.json", "json", "en-US", "fr", "messages.fr.json"),
        ("locales/en-US/common.json", "json", "en-US", "fr", "locales/fr/common.json"),
        ("app_en_US.properties", "properties", "en-US", "pt-BR", "app_pt_BR.properties"),
        ("app.properties", "properties", "en", "pt-BR", "app_pt_BR.properties"),
        ("res/values/strings.xml", "android", "en", "pt-BR", "res/values-pt-rBR/strings.xml"),
        ("res/values-en/strings.xml", "android", "en", "zh-Hant", "res/values-b+zh+Hant/strings.xml"),
        ("res/values-en-rUS/strings.xml", "android", "en-US", "fr", "res/values-fr/strings.xml"),
        ("strings.xml", "android", "en", "fr", "values-fr/strings.xml"),
        ("Base.lproj/Main.strings", "strings", "en", "fr", "fr.lproj/Main.strings"),
        ("App/en.lproj/Main.strings", "strings", "en", "pt-BR", "App/pt-BR.lproj/Main.strings"),
        ("Main.strings", "strings", "en", "fr", "fr.lproj/Main.strings"),
        ("guide/index.md", "markdown", "en", "fr", "fr/guide/index.md"),
        ("en/guide/index.md", "markdown", "en", "fr", "fr/guide/index.md"),
        ("what-is-it.md", "markdown", "en", "it", "it/what-is-it.md"),
        ("a b/ä.html", "html", "de", "fr", "fr/a b/ä.html"),
    ],
)
def test_the_name_of_a_document_in_another_language(
    name: str, form: str, source: str, target: str, expected: str
) -> None:
    assert name_in(name, form, source, target) == expected
    assert fault_of_name(expected) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("locale/fr/LC_MESSAGES/django.po", "fr"),
        ("locale/pt_BR/x.po", "pt-BR"),
        ("messages.fr.po", "fr"),
        ("app_pt_BR.properties", "pt-BR"),
        ("values-pt-rBR/strings.xml", "pt-BR"),
        ("fr.lproj/x.strings", "fr"),
        ("FR.json", "fr"),
        ("messages.po", None),
        ("what-is-fr.md", None),
        ("french/x.md", None),
    ],
)
def test_a_name_says_a_language(name: str, said: str | None) -> None:
    assert said_language(name, ["fr", "pt-BR"]) == said


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../a.po",
        "a/../../b.po",
        "a//b.po",
        "./a.po",
        "a\\..\\b.po",
        "C:/a.po",
        "a\nb.po",
        "a\x1b[2J.po",
        "a\x00.po",
        "a\u202eb.po",
        "a\udcff.po",
        "x" * (MOST_CHARACTERS + 1),
    ],
)
def test_a_name_that_is_not_safe_to_write_to(name: str) -> None:
    assert fault_of_name(name) is not None
