"""White space at the edges, and line breaks, that differ from the source."""

# ruff: noqa: RUF001 - signs of other scripts

import pytest

from tests.support.checking import pointed_at, translated

CODE = "whitespace_edges"


@pytest.mark.parametrize(
    ("languages", "source", "target", "places"),
    [
        ("en de", "Price: ", "Preis:", [""]),
        ("en de", "Price:", "Preis: ", [" "]),
        ("en ru", " a", "а", [""]),
        ("en ar", "a", "\tأ", ["\t"]),
        ("en zh", "a\n", "甲\n\n", ["\n\n"]),
        ("en ja", "a\nb", "甲 乙", [""]),
        ("en hi", "a b", "अ\nब", [""]),
        ("en el", " a ", "α", ["", ""]),
    ],
)
def test_other_white_space_is_found(languages: str, source: str, target: str, places: list[str]) -> None:
    findings = translated(CODE, source, target, languages)
    assert pointed_at(findings, target) == places
    assert all(finding.severity == "review" for finding in findings)


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        ("en de", " a\n", " b\n"),
        ("en de", "a\r\nb\r\n", "a\nb\n"),
        ("en fr", "Name: ", "Nom :\u00a0"),
        ("en ja", "Hello.", "\u3000こんにちは。"),
        ("zh en", "\u3000\u3000你好。", "Hello."),
        ("en de", "a", "a"),
        ("en de", "  ", "  "),
    ],
)
def test_the_same_white_space_passes(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


def test_line_breaks_are_counted() -> None:
    (finding,) = translated(CODE, "a\nb\nc", "a\nb c")
    assert (finding.measured, finding.limit) == (1, 2)
