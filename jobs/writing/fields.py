"""Types of fields that the requests of several kinds have: text, text on one line, language tags, other names of a choice."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from jobs.did_you_mean import did_you_mean, folded
from jobs.languages.names import COMMON_NAMES
from jobs.languages.tags import is_registered, language_of_country

# RFC 5646 reserves language codes of 4 letters, and no code of 5 to 8 letters is registered.
_LANGUAGE: Final = r"[a-z]{2,3}(?:-[a-z]{3}){0,3}"
_SCRIPT: Final = r"(?:-[a-z]{4})?"
_REGION: Final = r"(?:-(?:[a-z]{2}|[0-9]{3}))?"
_VARIANTS: Final = r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
_EXTENSIONS: Final = r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*"
_PRIVATE: Final = r"(?:-x(?:-[a-z0-9]{1,8})+)?"
_TAG: Final = re.compile(_LANGUAGE + _SCRIPT + _REGION + _VARIANTS + _EXTENSIONS + _PRIVATE, re.IGNORECASE | re.ASCII)


_CHARSET: Final = re.compile(r"\.(?:utf-?8|iso-?8859-?\d+|cp\d+)$", re.IGNORECASE)
"""The encoding suffix of a POSIX locale, such as `.UTF-8` in `en_US.UTF-8`. It is cut off before the language tag is read."""

_IN_BRACKETS: Final = re.compile(r"\(([^()]*)\)$")
"""Matches a region or script in brackets at the end of a name, such as `(US)` in `English (US)`."""

_FORMER_LANGUAGES: Final = {"in": "id", "iw": "he", "ji": "yi", "jw": "jv", "mo": "ro"}
_DOUBTFUL: Final = {"tw": "it is Twi, and mostly written for Taiwan: write twi, or zh-Hant"}
"""Codes of languages that people mostly write for something else -> what to write."""


@dataclass(frozen=True, slots=True)
class OtherNames:
    """Other names that people use for the choices of a field: name -> choice. Intake reads each name in upper or lower case.

    An `OtherNames` stands in the annotation of its field: `Annotated[Literal["x"], OtherNames({"twitter": "x"})]`.
    """

    names: Mapping[str, str]


def _tidied(tag: Any) -> Any:
    """Return a tag in its usual form: `pt-BR` for `PT_br` and `pt_BR.UTF-8`, `pt` for `Portuguese` and `Português`.

    A value that is no text is returned unchanged.
    """
    return _usual(tag) if isinstance(tag, str) else tag


@lru_cache(1_024)
def _usual(tag: str) -> str:
    """Return a language tag in its usual form. The forms of recent tags are kept, since the rows of a file have few languages."""
    if (known := _TAGS.get(folded(tag))) is not None:
        return known
    plain = _IN_BRACKETS.sub(r" \1", _CHARSET.sub("", tag.strip())).strip()
    language, *rest = re.split(r"\s*[_-]\s*|\s+", plain)
    language = language.lower()
    if max(map(len, rest), default=0) <= len("Hant"):  # a longer part may be a country's name: `German (Austria)`
        language = _TAGS.get(folded(language), language)
    parts, free = [_FORMER_LANGUAGES.get(language, language)], False
    for part in rest:
        free = free or len(part) == 1  # all parts after a part of one letter or digit are in lower case
        if not free and len(part) == 2:
            parts.append({"UK": "GB"}.get(part.upper(), part.upper()))
        else:
            parts.append(part.title() if not free and len(part) == 4 and part.isalpha() else part.lower())
    return "-".join(parts)


def _well_formed(tag: str) -> str:
    """Return the tag if it follows the grammar of RFC 5646 and the registry has its language; otherwise raise ValueError.

    The other parts of the tag are not looked up. Grandfathered tags are refused.
    """
    if (what := _DOUBTFUL.get(tag)) is not None:
        raise ValueError(f"{tag!r} is not certain: {what}")
    if _TAG.fullmatch(tag) is None:
        like = did_you_mean(tag.title(), COMMON_NAMES.values())
        raise ValueError(f"{tag!r} is not a language tag of BCP 47, such as de, pt-BR or zh-Hant{like}")
    language = tag.partition("-")[0]
    if not is_registered(language):
        meant = language_of_country(language)
        if meant is not None:
            raise ValueError(f"{language!r} is a country and no language: did you mean {meant}?")
        raise ValueError(f"{language!r} is no registered language: give a tag of BCP 47, such as de, pt-BR or zh-Hant")
    return tag


Text = Annotated[str, StringConstraints(pattern=r"\S")]
"""Text with at least one character that is not white space."""

Line = Annotated[str, StringConstraints(pattern=r"^[^\r\n]*\S[^\r\n]*$")]
"""Text on one line, with at least one character that is not white space."""

TEXT_TAG: Final = "a text"
LIST_TAG: Final = "a list"
"""The tags of the two forms of a value that may be a text or a list of texts. Messages leave them out of the path of a field."""

LanguageTag = Annotated[
    str, BeforeValidator(_tidied), StringConstraints(min_length=2, max_length=35), AfterValidator(_well_formed)
]
"""A well-formed language tag of BCP 47, such as `de`, `pt-BR` or `zh-Hant`. `pt_br` is read as `pt-BR`, `Portuguese` as `pt`."""

_OTHERCOMMON_NAMES: Final = {
    "ar": ("العربية",),
    "bg": ("Български",),
    "ca": ("Català",),
    "cs": ("Čeština",),
    "da": ("Dansk",),
    "de": ("Deutsch",),
    "el": ("Ελληνικά",),
    "en-GB": ("British English", "English (UK)", "English (United Kingdom)"),
    "en-US": ("American English", "English (United States)", "English (USA)"),
    "es": ("Español", "Castellano"),
    "es-419": ("Latin American Spanish", "Spanish (Latin America)"),
    "es-ES": ("Spanish (Spain)",),
    "es-MX": ("Mexican Spanish", "Spanish (Mexico)"),
    "et": ("Eesti",),
    "fi": ("Suomi",),
    "fr": ("Français",),
    "fr-CA": ("Canadian French", "French (Canada)"),
    "he": ("עברית",),
    "hi": ("हिन्दी",),
    "hr": ("Hrvatski",),
    "hu": ("Magyar",),
    "id": ("Bahasa Indonesia",),
    "it": ("Italiano",),
    "ja": ("日本語",),
    "ko": ("한국어",),
    "lt": ("Lietuvių",),
    "lv": ("Latviešu",),
    "nb": ("Norsk bokmål",),
    "nl": ("Nederlands",),
    "no": ("Norsk",),
    "pl": ("Polski",),
    "pt": ("Português",),
    "pt-BR": ("Brazilian Portuguese", "Portuguese (Brazil)", "Português (Brasil)", "Português do Brasil"),
    "pt-PT": ("European Portuguese", "Portuguese (Portugal)"),
    "ro": ("Română",),
    "ru": ("Русский",),
    "sk": ("Slovenčina",),
    "sl": ("Slovenščina",),
    "sv": ("Svenska",),
    "th": ("ไทย",),
    "tr": ("Türkçe",),
    "uk": ("Українська",),
    "vi": ("Tiếng Việt",),
    "zh": ("中文",),
    "zh-Hans": ("Simplified Chinese", "Chinese (Simplified)", "简体中文"),
    "zh-Hant": ("Traditional Chinese", "Chinese (Traditional)", "繁體中文"),
}
"""Tag -> the language's name in itself, and names of languages with a region or script as lists of languages write them."""

_TAGS: Final = {
    **{folded(name): tag for tag, name in COMMON_NAMES.items()},
    **{folded(name): tag for tag, names in _OTHERCOMMON_NAMES.items() for name in names},
}
