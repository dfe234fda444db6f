"""Field types that the requests of several kinds share: text with words in it, one-line text, language tags."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

_LANGUAGE: Final = r"[a-z]{2,3}(?:-[a-z]{3}){0,3}"  # longer ones are reserved: none is registered
_SCRIPT: Final = r"(?:-[a-z]{4})?"
_REGION: Final = r"(?:-(?:[a-z]{2}|[0-9]{3}))?"
_VARIANTS: Final = r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
_EXTENSIONS: Final = r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*"
_PRIVATE: Final = r"(?:-x(?:-[a-z0-9]{1,8})+)?"
_TAG: Final = re.compile(_LANGUAGE + _SCRIPT + _REGION + _VARIANTS + _EXTENSIONS + _PRIVATE, re.IGNORECASE | re.ASCII)


def _well_formed(tag: str) -> str:
    """Whether a tag follows the grammar of RFC 5646; its parts are not looked up, and grandfathered tags are refused."""
    if _TAG.fullmatch(tag) is None:
        raise ValueError(f"{tag!r} is not a language tag of BCP 47, such as de, pt-BR or zh-Hant")
    return tag


Text = Annotated[str, StringConstraints(pattern=r"\S")]
"""Text with something to read in it."""

Line = Annotated[str, StringConstraints(pattern=r"^[^\r\n]*\S[^\r\n]*$")]
"""Text on one line, with something to read in it."""

LanguageTag = Annotated[str, StringConstraints(min_length=2, max_length=35), AfterValidator(_well_formed)]
"""A well-formed tag of BCP 47: `de`, `pt-BR`, `zh-Hant`."""

_NAMES: Final = {
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


def named(tag: str) -> str:
    """A language for a prompt: `German`, `Portuguese (pt-BR)`; the bare tag where the language is not a common one."""
    name = _NAMES.get(tag.partition("-")[0].lower())
    if name is None:
        return tag
    return name if "-" not in tag else f"{name} ({tag})"
