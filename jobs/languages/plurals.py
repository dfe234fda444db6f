"""The plural rules of languages, as CLDR has them in Babel."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from babel.plural import PluralRule

CATEGORIES: Final = ("zero", "one", "two", "few", "many", "other")
"""The plural categories in the order of CLDR."""


@lru_cache(256)
def plural_rule(language: str | None, *, is_ordinal: bool = False) -> "PluralRule | None":
    """Return the rule that gives the category of a number in a language; None if CLDR has none for it.

    Args:
        language: A tag such as `pt-PT`, or `pt_PT`. A region or script that CLDR does not know is passed over.
        is_ordinal: Whether to return the rule for ordinal numbers, such as 1st, instead of that for counts.
    """
    from babel.core import Locale, UnknownLocaleError

    for name in _names(language or ""):
        try:
            locale = Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
        return locale.ordinal_form if is_ordinal else locale.plural_form
    return None


def _names(tag: str) -> Iterator[str]:
    """Yield a tag as Babel writes tags, without its last part, without the last two, and so on."""
    parts = tag.replace("-", "_").split("_")
    for count in range(len(parts), 0, -1):
        yield "_".join(parts[:count])
