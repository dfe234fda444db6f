"""The likeness of two tags: whether they name one language."""

from typing import Final

from jobs.languages.codes import key_of
from jobs.languages.defaults import PARTNERS

_PLAIN: Final = 2
"""The letters of a code that has no other form of two letters, but for `nb` and `no`."""


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
