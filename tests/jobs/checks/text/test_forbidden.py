"""Forbidden terms: whole words in any script and case, from the row and from settings."""

import unicodedata

import pytest

from tests.support.checking import findings_with, places_of


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("art", "The ART of start-ups.", ["ART"]),
        ("Acme", "Acme's shoes and non-Acme shoes.", ["Acme", "Acme"]),
        ("free trial", "A free\n trial and a FREE TRIAL.", ["free\n trial", "FREE TRIAL"]),
        ("Straße", "Die STRASSE ist lang.", ["STRASSE"]),
        ("дёшево", "Это Дёшево.", ["Дёшево"]),
        ("φθηνό", "Είναι φθηνό.", ["φθηνό"]),
        ("最安", "業界最安値です。", ["最安"]),
        ("رخيص", "هذا رخيص جدا.", ["رخيص"]),
        ("सस्ता", "यह सस्ता है।", ["सस्ता"]),
        ("café", unicodedata.normalize("NFD", "Un café noir."), [unicodedata.normalize("NFD", "café")]),
        ("C++", "We teach C++ and C.", ["C++"]),
        ("100 %", "It is 100 % safe.", ["100 %"]),
        (".*", "No pattern.", []),
        ("art", "start, arts, artful, art1, art_", []),
        ("дёшево", "дёшевого", []),
        ("सस्त", "यह सस्ता है।", []),
        ("رخيص", "الرخيص", []),
        ("free trial", "free of trial", []),
        (" ", "A space.", []),
    ],
)
def test_a_term_is_found_as_a_whole_word(term: str, text: str, found: list[str]) -> None:
    assert places_of("forbidden_term", text, request={"prompt": "Write.", "forbidden_terms": [term]}) == found


def test_settings_forbid_terms_besides_those_of_the_row() -> None:
    row = {"topic": "Shoes", "platform": "x", "forbidden_terms": ["cheap"]}
    findings = findings_with("forbidden_term", "social_post", row, "Cheap and best.", terms=["best"])
    assert [(one.measured, one.limit, one.severity) for one in findings] == [
        ("Cheap", "cheap", "fail"),
        ("best", "best", "fail"),
    ]


@pytest.mark.parametrize("given", [None, [], "", [3], {"a": 1}])
def test_a_row_without_terms_forbids_nothing(given: object) -> None:
    assert not places_of("forbidden_term", "Cheap.", request={"prompt": "Write.", "forbidden_terms": given})


def test_many_terms_and_a_long_text_take_little_time() -> None:
    row = {"prompt": "Write.", "forbidden_terms": [f"term {n}" for n in range(1_000)]}
    assert places_of("forbidden_term", "term 99 " + "term " * 20_000, request=row) == ["term 99"]
