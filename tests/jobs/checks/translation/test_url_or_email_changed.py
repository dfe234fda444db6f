"""Links and e-mail addresses: lost, changed and made up ones."""

# ruff: noqa: RUF001 - letters of other scripts

import pytest

from tests.support.checking import pointed_at, translated

CODE = "url_or_email_changed"


@pytest.mark.parametrize(
    ("languages", "source", "target", "places"),
    [
        ("en de", "See https://x.org/en/a", "Siehe https://x.org/de/a", ["", "https://x.org/de/a"]),
        ("en fr", "See https://x.org/a?b=1&c=2", "Voir https://x.org/a?b=1", ["", "https://x.org/a?b=1"]),
        ("en ru", "Write to a@b.com", "Пишите на а@b.com", ["", "а@b.com"]),
        ("en ru", "Write to info@b.com", "Пишите на инфо@b.com", ["", "инфо@b.com"]),
        ("en zh", "Visit www.example.com now", "现在访问", [""]),
        ("en ja", "Visit example.com/a now", "example.com/bへ", ["", "example.com/b"]),
        ("en zh", "Visit us", "访问 https://x.cn", ["https://x.cn"]),
        ("en ar", "Mail us", "راسلنا a@b.com", ["a@b.com"]),
        ("en hi", "https://x.org", "https://x.org https://x.org", ["https://x.org"]),
        ("en el", "https://x.org/a https://x.org/a", "https://x.org/a", [""]),
        ("en de", "http://x.org", "https://x.org", ["", "https://x.org"]),
    ],
)
def test_a_changed_address_is_found(languages: str, source: str, target: str, places: list[str]) -> None:
    findings = translated(CODE, source, target, languages)
    assert pointed_at(findings, target) == places
    assert all(finding.severity == "fail" for finding in findings)


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        (
            "en de",
            "Open https://x.org/a?b=1, or write to i@x.org.",
            "Schreib an i@x.org oder öffne https://x.org/a?b=1!",
        ),
        ("en ja", "See https://x.org/a for more.", "詳しくはhttps://x.org/aをご覧ください。"),
        ("en zh", "(www.x.org)", "（www.x.org）。"),
        ("en ru", "Go to example.com.", "Откройте example.com, пожалуйста."),
        ("en de", "See example.com/a.", "Siehe example.com/a, bitte."),
        ("en de", "Node.js, e.g. ASP.NET vs. 3.5", "Node.js, z.B. ASP.NET und 3.5"),
        ("en de", "Stop.Now", "Halt.Jetzt"),
        ("en de", "@user and #tag", "@nutzer und #tag"),
        ("en de", '<a href="https://x.org/en">a</a>', '<a href="https://x.org/de">a</a>'),  # markup_changed finds it
    ],
)
def test_kept_addresses_and_other_dots_pass(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


def test_in_markdown_the_targets_of_links_are_left_to_the_check_of_markup() -> None:
    assert translated(CODE, "[a](https://x.org/a)", "[b](https://x.org/b)", format="markdown") == []
    assert len(translated(CODE, "[a](https://x.org/a)", "[b](https://x.org/b)")) == 2
    assert len(translated(CODE, "https://x.org/a", "https://x.org/b", format="markdown")) == 2


def test_the_forms_of_an_icu_message_may_repeat_a_link() -> None:
    source = "{n, plural, one {https://x.org} other {https://x.org}}"
    assert translated(CODE, source, "{n, plural, other {https://x.org}}", "en ja") == []
