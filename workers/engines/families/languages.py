"""Finds the code that a model has for a language, by the language's BCP 47 tag."""

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import langcodes

from workers.engines.families.family import LanguageNotKnown


@dataclass(frozen=True, slots=True)
class LanguageCodes:
    """The codes that one model has for languages.

    Args:
        known: The codes of the model, such as `fra_Latn`.
        given: BCP 47 tag -> code, from the model's card. These come first.
    """

    known: Collection[str]
    given: Mapping[str, str] = field(default_factory=dict)

    def code(self, tag: str) -> str:
        """Return the model's code for the language that `tag` names.

        Raises:
            LanguageNotKnown: The model has no such language.
        """
        by_tag = {one.casefold(): code for one, code in self.given.items()}
        found = by_tag.get(tag.casefold()) or self._known(tag)
        if found is None or found not in self.known:
            raise LanguageNotKnown(f"The model has no language {tag}.")
        return found

    def _known(self, tag: str) -> str | None:
        language = langcodes.Language.get(tag)
        primary = language.language or ""
        names = [tag.replace("-", "_"), primary]
        with contextlib.suppress(LookupError):
            names.append(language.to_alpha3())
        for name in names:
            same = [code for code in self.known if code.casefold() == name.casefold()]
            same = same or [code for code in self.known if code.partition("_")[0].casefold() == name.casefold()]
            if same:
                return same[0]
        return None


_GROUP_CODES: Final = "mul roa gem sla zle zlw zls cel bnt cpp fiu trk sem inc ine afa alv art aav sal cau dra sit tai"
_GROUPS: Final = frozenset(_GROUP_CODES.split())
"""Codes of groups of languages (ISO 639-5) that stand in the names of Marian models."""


def primary_of(tag: str) -> str:
    """Return the tag of a language without its script and region."""
    return langcodes.Language.get(tag).language or tag


def is_same(tag: str, own: str) -> bool:
    """Whether a tag may be meant by a model's own name of its language. The name of a group of languages means all of them."""
    try:
        known = langcodes.Language.get(own)
        if not known.is_valid() or known.language is None or known.language in _GROUPS:
            return True
        return langcodes.Language.get(tag).prefer_macrolanguage().language == known.prefer_macrolanguage().language
    except ValueError:
        return True
