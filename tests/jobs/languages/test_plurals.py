"""Shows jobs/languages/plurals.py: the plural rules of languages."""

import pytest

from jobs.languages.plurals import plural_rule


@pytest.mark.parametrize(
    ("language", "categories"),
    [
        ("en", {"one"}),
        ("pl", {"one", "few", "many"}),
        ("ar", {"zero", "one", "two", "few", "many"}),
        ("ja", set()),
        ("pl-PL", {"one", "few", "many"}),
        ("sr-Latn-ME", {"one", "few"}),
        ("de-XX", {"one"}),
        ("de-1996-x-mine", {"one"}),
        ("zh_TW", set()),
        ("no", {"one"}),
        ("tl", {"one"}),
    ],
)
def test_the_categories_of_a_language(language: str, categories: set[str]) -> None:
    rule = plural_rule(language)
    assert rule is not None
    assert set(rule.tags) == categories


def test_a_region_may_have_a_rule_of_its_own() -> None:
    """Portugal says 0 dias, and Brazil 0 dia."""
    rules = [plural_rule(tag) for tag in ("pt-BR", "pt-PT", "pt-AO")]  # Angola follows Portugal
    assert [rule and rule(0) for rule in rules] == ["one", "other", "other"]


def test_ordinal_numbers_have_a_rule_of_their_own() -> None:
    rule = plural_rule("en-GB", is_ordinal=True)
    assert rule is not None
    assert [rule(number) for number in (1, 2, 3, 4)] == ["one", "two", "few", "other"]


@pytest.mark.parametrize("language", [None, "", "quy", "xx-DE", "no language"])
def test_a_language_that_cldr_lacks_has_no_rule(language: str | None) -> None:
    assert plural_rule(language) is None
