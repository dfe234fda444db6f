"""The terms of a row: glossary and names found together, and the hash of the terms."""

from typing import Any

import pytest

from jobs.writing.terms.row_terms import row_terms, terms_sha256


def test_the_terms_of_a_text_are_found_with_their_translations() -> None:
    request = {"glossary": {"invoice": "Rechnung", "bill": ["Rechnung", "Faktura"], "tax": "Steuer"}}
    terms = row_terms(request, "en-GB")
    assert terms.glossary_in("Bills and invoices") == {"bill": ("Rechnung", "Faktura"), "invoice": ("Rechnung",)}


def test_a_name_within_a_longer_term_is_translated_with_it() -> None:
    request = {"glossary": {"Windows Update": "Actualización de Windows"}, "do_not_translate": ["Windows"]}
    terms, text = row_terms(request, "en"), "Windows Update runs on Windows, not in windows."
    assert [text[start:end] for start, end in terms.name_places(text)] == ["Windows"]
    assert terms.name_places(text)[0][0] > 10
    assert list(terms.glossary_in(text)) == ["Windows Update"]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"glossary": None, "do_not_translate": None},
        {"glossary": 3, "do_not_translate": "Acme"},
        {"glossary": {"a": 3, "b": [], "c": [" "], "d": ""}, "do_not_translate": [3, " "]},
    ],
)
def test_values_of_another_type_are_no_terms(request_: dict[str, Any]) -> None:
    terms = row_terms(request_)
    assert not terms.glossary_in("a b c d Acme")
    assert not terms.name_places("a b c d Acme")
    assert terms_sha256(request_) is None


def test_the_hash_is_that_of_the_terms_alone() -> None:
    one = {"text": "a", "glossary": {"a": "b", "c": ["d"]}, "do_not_translate": ["x", "y"]}
    same = {"text": "z", "do_not_translate": ("y", "x"), "glossary": {"c": "d", "a": "b"}, "forbidden_terms": ()}
    assert terms_sha256(one) == terms_sha256(same)
    others: list[dict[str, Any]] = [
        {**one, "glossary": {"a": "b", "c": ["d", "e"]}},
        {**one, "do_not_translate": ["x"]},
        {**one, "forbidden_terms": ["x"]},
    ]
    assert len({terms_sha256(each) for each in (one, *others)}) == 4
