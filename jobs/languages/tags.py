"""Questions about tags of BCP 47: whether two name one language, and whether the registry has a language."""

import re
from functools import lru_cache
from typing import Final

from jobs.languages.codes import key_of
from jobs.languages.defaults import PARTNERS
from jobs.languages.names import COMMON_NAMES

_PLAIN: Final = 2
"""The letters of a code that has no other form of two letters, but for `nb` and `no`."""

_PRIVATE_REGION: Final = re.compile("AA|Q[M-Z]|X[A-JL-Z]|ZZ")
"""Matches the regions for private use. XK is not one of them, since CLDR has it for Kosovo."""


def same_language(tag: str, other: str) -> bool:
    """Whether two tags name one language in one script, such as `en` and `en-US`. Their regions may differ."""
    if len(tag) == len(other) == _PLAIN:
        return tag == other or {tag, other} == {"nb", "no"}  # the common case, for which no library is loaded
    one, two = key_of(tag), key_of(other)
    same = one.language == two.language or (
        two.language in PARTNERS.get(one.language, ()) and one.language in PARTNERS.get(two.language, ())
    )
    scripts = {key.likely for key in (one, two) if key.script or key.region}  # without a region, the script is open
    return same and len(scripts) <= 1


@lru_cache(1_024)
def is_registered(language: str) -> bool:
    """Whether the registry of BCP 47 has a language, given by its subtag alone, such as `de` or `quy`. `eng` counts as `en`."""
    if language in COMMON_NAMES:
        return True
    from langcodes import Language

    return Language.get(language).is_valid()


def language_of_country(country: str) -> str | None:
    """Return the language that is most used in a country; None if there is no such country. `AT` gives `de`."""
    if _PRIVATE_REGION.fullmatch(country.upper()):
        return None
    from langcodes import Language

    land = Language.make(territory=country.upper())
    return land.maximize().language if land.is_valid() else None
