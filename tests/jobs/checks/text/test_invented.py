"""Invented facts: links, handles, addresses, numbers, prices and names that the request does not hold."""

# ruff: noqa: RUF001 - signs of other scripts

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.checking import findings_with, places_of

ROW = {"topic": "Tomatoes from Kassel", "language": "en"}
SOURCE = "Greenleaf of Kassel sold 1,250 plants in 2025. A plant costs 4.50 euros. Anna Weber leads it: 12 %."
POST = {"source_text": SOURCE, "platform": "x"}


def found(text: str, kind: str = "article", row: Mapping[str, object] | None = None, **more: Any) -> list[str]:
    return places_of("invented", text, kind, ROW if row is None else row, **more)


@pytest.mark.parametrize(
    ("text", "place", "severity"),
    [
        ("See https://acme.com/a.", "https://acme.com/a", "fail"),
        ("See [this](https://acme.com/a).", "https://acme.com/a", "fail"),
        ("Siehe http://acme.de!", "http://acme.de", "fail"),
        ("これを見てhttps://acme.jp/aです", "https://acme.jp/a", "fail"),
        ("Follow @greenleaf now.", "@greenleaf", "fail"),
        ("Abonniert @green_leaf.", "@green_leaf", "fail"),
        ("Подпишись на @greenleaf!", "@greenleaf", "fail"),
        ("Follow @anna@mastodon.social now.", "@anna@mastodon.social", "fail"),
        ("See www.acme.com now.", "www.acme.com", "review"),
        ("See acme.com/shop now.", "acme.com/shop", "review"),
        ("Write to anna@acme.com now.", "anna@acme.com", "review"),
        ("Call +49 561 1234567 now.", "+49 561 1234567", "review"),
        ("Tel. 0561 123456", "0561 123456", "review"),
        ("It costs $19.99 now.", "$19.99", "review"),
        ("Nur 19,99 € heute.", "19,99 €", "review"),
        ("Seulement 1 299 euros.", "1 299 euros", "review"),
        ("Всего 500 руб.", "500 руб", "review"),
        ("たった1,980円です。", "1,980円", "review"),
        ("केवल ₹499 में।", "₹499", "review"),
        ("Μόνο 5 ευρώ.", "5 ευρώ", "review"),
        ("فقط 50 درهم", "50 درهم", "review"),
        ("Kosztuje 20 zł.", "20 zł", "review"),
    ],
)
def test_what_the_request_does_not_hold_is_found_at_its_place(text: str, place: str, severity: str) -> None:
    (finding,) = findings_with("invented", "article", ROW, {"body_markdown": text})
    assert finding.where is not None
    assert (text[finding.where.start : finding.where.end], finding.severity) == (place, severity)
    assert found(text, row=ROW | {"brand_voice": f"Use {place} here"}) == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("https://acme.com/a/", "See https://acme.com/a."),
        ("http://www.acme.com/a", "See https://ACME.com/a"),
        ("acme.com", "See https://acme.com"),
        ("https://acme.com/a", "See acme.com/a"),
        ("$1,299.00", "It costs 1299 dollars."),
        ("1.299,50 €", "It costs €1,299.50."),
        ("0561/123456", "Call +49 561 123456."),
        ("@GreenLeaf", "Follow @greenleaf."),
    ],
)
def test_other_forms_of_what_the_request_holds_pass(given: str, text: str) -> None:
    assert found(text, row=ROW | {"brand_voice": given}) == []
    assert found(text)


@pytest.mark.parametrize(
    ("given", "text", "place"),
    [
        ("https://acme.com/a", "See https://acme.com/b", "https://acme.com/b"),
        ("acme.com", "See https://acme.com/shop", "https://acme.com/shop"),
        ("acme.com", "See https://notacme.com", "https://notacme.com"),
        ("$12.99", "Only $1,299 now", "$1,299"),
    ],
)
def test_what_only_resembles_the_request_is_found(given: str, text: str, place: str) -> None:
    assert found(text, row=ROW | {"brand_voice": given}) == [place]


@pytest.mark.parametrize(
    "text",
    [
        "Water 3 times, 20 litres, at 30 °C, in 2026.",
        "Node.js, ASP.NET and main.py are fine, e.g. here.Next",
        "Meet @ 5pm, a@b, 2@3.",
        "Use `https://acme.com` and `@media` and `pip install acme.com`.",
        "```\n@property\ncurl https://acme.com\n```",
        "The @types/node package.",
        "1. Water.\n2. Mulch.",
        "A title with Capital Names such as Rome.",
        "",
    ],
)
def test_what_is_no_fact_of_these_passes(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Greenleaf sold 1250 plants in 2025.", []),
        ("Greenleaf sold 1,350 plants in 2025.", ["1,350"]),
        ("A plant costs 4,50 €.", []),
        ("A plant costs 4.60 €.", ["4.60 €"]),
        ("It grew by 12 %, not 13%.", ["13"]),
        ("It grew by 9 %.", ["9"]),
        ("Here are 3 reasons, and B2B.", []),
        ("We met Anna in Kassel.", []),
        ("We met Berta in Kassels market.", ["Berta"]),
        ("On Monday I saw Anna's plants. Then it rained.", []),
        ("Buy Plants From Our Little Garden Shop Now", []),
        ("Посмотрите на Грету и посадите растения дома.", ["Грету"]),
        ("Wir sind in Hamburg und verkaufen Pflanzen mit Liebe.", []),
        ("Great: Water helps. - Mulch too.", []),
    ],
)
def test_numbers_and_names_of_a_post_stand_in_its_source(text: str, facts: list[str]) -> None:
    assert found(text, "social_post", POST) == facts
    assert found(text, "social_post", {"topic": SOURCE, "platform": "x"}) == [one for one in facts if "€" in one]
    assert found(text, "social_post", POST, facts=False) == [one for one in facts if "€" in one]


@pytest.mark.parametrize("sign", ["1 ", "1,", "$1", "@a", "a.", "http://", "A ", "+1 ", "1€", "www."])
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    found((sign * 100_000)[:100_000], "social_post", POST)
