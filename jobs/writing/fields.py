"""Types of fields that the requests of several kinds have: text, text on one line, language tags."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

_LANGUAGE: Final = r"[a-z]{2,3}(?:-[a-z]{3}){0,3}"  # longer ones are reserved, and none is registered
_SCRIPT: Final = r"(?:-[a-z]{4})?"
_REGION: Final = r"(?:-(?:[a-z]{2}|[0-9]{3}))?"
_VARIANTS: Final = r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
_EXTENSIONS: Final = r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*"
_PRIVATE: Final = r"(?:-x(?:-[a-z0-9]{1,8})+)?"
_TAG: Final = re.compile(_LANGUAGE + _SCRIPT + _REGION + _VARIANTS + _EXTENSIONS + _PRIVATE, re.IGNORECASE | re.ASCII)


def _well_formed(tag: str) -> str:
    """The tag, if it follows the grammar of RFC 5646. Its parts are not looked up; grandfathered tags are refused."""
    if _TAG.fullmatch(tag) is None:
        raise ValueError(f"{tag!r} is not a language tag of BCP 47, such as de, pt-BR or zh-Hant")
    return tag


Text = Annotated[str, StringConstraints(pattern=r"\S")]
"""Text with at least one character that is not white space."""

Line = Annotated[str, StringConstraints(pattern=r"^[^\r\n]*\S[^\r\n]*$")]
"""The same, on one line."""

LanguageTag = Annotated[str, StringConstraints(min_length=2, max_length=35), AfterValidator(_well_formed)]
"""A well-formed language tag of BCP 47, such as `de`, `pt-BR` or `zh-Hant`."""

_LANGUAGE_NAMES: Final = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ms": "Malay",
    "nb": "Norwegian Bokmål",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def language_name(tag: str) -> str:
    """The English name of a language for a prompt: `German`, `Portuguese (pt-BR)`. A tag without a name here stays."""
    name = _LANGUAGE_NAMES.get(tag.partition("-")[0].lower())
    if name is None:
        return tag
    return name if "-" not in tag else f"{name} ({tag})"
