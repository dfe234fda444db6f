"""Finds faults in the plural forms of a text, as gettext files hold them. Weblate has these checks.

No kind has plural forms yet, so these are functions and not a check.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from jobs.checks.check import Broken
from jobs.writing.words.words import primary

UNCHANGED_AFTER_NUMBERS: Final = frozenset(
    [
        "hu",
        "tr",
        "az",
        "kk",
        "ky",
        "uz",
        "tk",
        "tt",
        "ka",
        "fa",
        "ku",
        "hy",
        "ja",
        "ko",
        "zh",
        "yue",
        "vi",
        "th",
        "lo",
        "my",
        "km",
        "id",
        "ms",
        "jv",
        "bo",
        "bn",
        "ta",
    ]
)
"""Languages in which a number does not change the noun after it, so that all forms may be the same."""


def plural_faults(
    source: Sequence[str], target: Sequence[str], language: str | None, count: int | None = None
) -> Iterator[Broken]:
    """Yield the faults of a translation's plural forms: a wrong number of forms, an empty form, or forms that are all the same.

    Args:
        source: The forms of the source: singular and plural.
        target: The forms of the translation.
        language: The language of the translation.
        count: How many forms the header of the file names (`nplurals`). None: as many as gettext has for the language.
    """
    counts = {count} if count is not None else form_counts(language)
    if counts and len(target) not in counts:
        wanted = max(counts)
        forms = "form" if len(target) == 1 else "forms"
        yield Broken(f"the translation has {len(target)} plural {forms}, and {wanted} are needed", len(target), wanted)
    for n, form in enumerate(target):
        if not form.strip():
            yield Broken(f"the plural form {n} is empty", n)
    are_same = len(target) > 1 and len(set(target)) == 1 and target[0].strip() != ""
    if are_same and len(set(source)) > 1 and primary(language) not in UNCHANGED_AFTER_NUMBERS:
        yield Broken(f"all {len(target)} plural forms are {target[0]!r}", target[0])


def form_counts(language: str | None) -> frozenset[int]:
    """Return how many plural forms a language has in gettext files; none if it is unknown.

    Files of French, Italian, Portuguese and Spanish have 2 forms, or 3 if they follow CLDR, which has a form for millions.
    """
    from babel.messages.plurals import PLURALS

    tag = primary(language)
    if (found := PLURALS.get(tag)) is None:
        return frozenset()
    return frozenset((2, 3)) if tag in ("fr", "it", "pt", "es", "ca") else frozenset((found[0],))
