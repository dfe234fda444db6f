"""E-mail addresses in any script, with their ends."""

import pytest

from jobs.checks.contacts import emails
from jobs.checks.masks import without_addresses
from jobs.checks.signs.addresses import addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Write to anna@example.com. Or call.", ["anna@example.com"]),
        ("me@a-b.co.uk...", ["me@a-b.co.uk"]),
        ("a@b.de, c@d.de!", ["a@b.de", "c@d.de"]),
        ("_anna@example.com_ and **bob@example.com**", ["anna@example.com", "bob@example.com"]),
        ("anna@example.comまでご連絡ください", ["anna@example.com"]),
        ("メールはanna@example.co.jpへ", ["anna@example.co.jp"]),
        ("联系anna@example.com。", ["anna@example.com"]),
        ("anna@example.com로 보내세요", ["anna@example.com"]),
        ("почта@пример.рф", ["почта@пример.рф"]),
        ("jörg@müller.de und Ana.María@correo.es", ["jörg@müller.de", "Ana.María@correo.es"]),
        ("a@xn--bcher-kva.example.xn--p1ai", ["a@xn--bcher-kva.example.xn--p1ai"]),
        ("x.y+z@sub.example.org?subject=a", ["x.y+z@sub.example.org"]),
        ("x@y, name@1.2.3.4, user@host.c, foo@bar.com@baz.com, @anna@example.social", []),
        ("a" * 65 + "@example.com", []),
    ],
)
def test_the_ends_of_an_address_are_found(text: str, found: list[str]) -> None:
    """The checks of contacts, the masks and the addresses of a translation share one pattern."""
    assert [text[slice(*span)] for span in emails(text)] == found
    masked = without_addresses(text)
    assert not any(one in masked for one in found)
    assert [one.text for one in addresses(text) if "@" in one.text] == found
