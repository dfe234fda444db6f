"""Plural forms by the categories of CLDR: which forms a language needs, and from which form of the source each is made."""

from collections.abc import Collection, Sequence

from jobs.languages.plurals import CATEGORIES, plural_rule


def categories_of(language: str | None, *, is_ordinal: bool = False) -> tuple[str, ...]:
    """Return the categories of a language in the order of CLDR; those of English if the language is not known."""
    rule = plural_rule(language, is_ordinal=is_ordinal) or plural_rule("en", is_ordinal=is_ordinal)
    found = {*(rule.tags if rule else ()), "other"}
    return tuple(one for one in CATEGORIES if one in found)


def source_form(wanted: str, present: Collection[str]) -> str:
    """Return the form of the source from which a form is translated: the same one, else `other`, else the last one."""
    for one in (wanted, "other", "many", "few"):
        if one in present:
            return one
    return list(present)[-1]


def numbers_of(category: str, language: str | None, *, is_ordinal: bool = False) -> Sequence[int]:
    """Return the first numbers of a category in a language, at most four."""
    rule = plural_rule(language, is_ordinal=is_ordinal) or plural_rule("en", is_ordinal=is_ordinal)
    return [number for number in range(201) if rule is not None and rule(number) == category][:4]
