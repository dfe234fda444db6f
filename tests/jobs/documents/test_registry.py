"""Shows jobs/documents/registry.py: a file's format follows from its name, else from how it begins."""

import pytest

from jobs.documents.registry import FORMATS, format_named, format_of
from jobs.errors import RequestError


@pytest.mark.parametrize(
    ("name", "head", "wanted"),
    [
        ("README.MD", "", "markdown"),
        ("a.md", "<div>a page in Markdown</div>", "markdown"),
        ("page.html", "", "html"),
        ("-", "<!DOCTYPE html><html>", "html"),
        ("fr.po", "", "po"),
        ("-", 'msgid ""\nmsgstr ""\n', "po"),
        ("en.json", "", "json"),
        ("app_en.arb", "", "json"),
        ("-", '{"title": "Words"', "json"),
        ("-", "WEBVTT\n\n", "vtt"),
        ("-", "1\n00:00:01,000 --> 00:00:02,000\nHi\n", "srt"),
        ("strings.xml", "<resources>", "android"),
        ("-", '<?xml version="1.0"?>\n<xliff version="2.0">', "xliff"),
        ("Localizable.strings", "", "strings"),
        ("-", '/* c */\n"a" = "b";', "strings"),
        ("en.yml", "", "yaml"),
        ("-", "en:\n  hello: Hi\n", "yaml"),
        ("messages.properties", "", "properties"),
        ("Localizable.xcstrings", "", "xcstrings"),
        ("-", '{\n  "sourceLanguage" : "en",', "xcstrings"),
        ("texts.xlsx", "PK\x03\x04", "xlsx"),
        ("strings.tsv", "", "csv"),
        ("-", 'key;"en";de\n', "csv"),
        ("-", "---\ntitle: x\n---\n# Hi", "markdown"),
    ],
)
def test_the_format_of_a_file(name: str, head: str, wanted: str) -> None:
    found = format_of(name, head)
    assert found is not None
    assert found.name == wanted


def test_other_files_have_no_format() -> None:
    assert format_of("photo.jpg", "\x89PNG") is None
    assert format_of("-", "") is None


def test_a_format_is_called_by_its_name() -> None:
    assert format_named("po") is FORMATS["po"]
    with pytest.raises(RequestError, match="'markdwon': did you mean markdown\\?; there are android, csv, html"):
        format_named("markdwon")
