"""English names of languages, as prompts for chat models have them: `Brazilian Portuguese` for `pt-BR`.

The names are those of CLDR in Babel; a language that CLDR does not name has its name in the registry of BCP 47, which langcodes
has with it. Neither library is loaded for a common language without a region.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Final

COMMON_NAMES: Final = {
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
"""Tag of a common language -> its name. Some are better known than the names of CLDR, such as Bengali for Bangla."""

_CITIES: Final = " SAR China"
"""The end of the names of Hong Kong and Macao in CLDR, which says nothing of a language."""

_WORLD: Final = "001"
"""The region that says nothing."""

_PLAIN: Final = frozenset({"ro_MD", "sr_ME"})
"""Languages with a region whose names in CLDR hide which language they are: Moldavian and Montenegrin."""


@lru_cache(1_024)
def language_name(tag: str) -> str:
    """Return the English name of a tag for a prompt: `German`, `Brazilian Portuguese`, `Traditional Chinese (Hong Kong)`,
    `Serbian (Latin script)`. A tag that no registry has stays as it is.
    """
    if (common := COMMON_NAMES.get(tag.lower())) is not None:
        return common
    from langcodes import Language
    from langcodes.tag_parser import LanguageTagError

    try:
        given = Language.get(tag)
    except LanguageTagError:
        return tag
    language = given.language or ""
    name = COMMON_NAMES.get(language) or _english().get(language) or _registered().get(language)
    if name is None or not given.is_valid():
        return tag
    region, script = (given.territory or "").replace(_WORLD, ""), given.script or ""
    by_region = given.maximize().script or ""
    if region and (f"{language}_{by_region}" in _english() or by_region != Language.make(language).maximize().script):
        script = by_region  # zh-TW is written in traditional characters, and pa-PK in Arabic script
    variety = f"{language}_{given.territory}"
    if script and f"{language}_{script}" in _english():
        name, script = _english()[f"{language}_{script}"], ""
    elif variety in _english() and variety not in _PLAIN:
        name, region = _english()[variety], ""
    details = [*_scripts(script), *_regions(region), *_variants(given.variants or [])]
    return f"{name} ({', '.join(details)})" if details else name


def _scripts(script: str) -> list[str]:
    from babel import Locale

    return [f"{Locale('en').scripts.get(script, script)} script"] if script else []


def _regions(region: str) -> list[str]:
    from babel import Locale

    return [Locale("en").territories.get(region, region).removesuffix(_CITIES)] if region else []


def _variants(variants: Sequence[str]) -> list[str]:
    from babel import Locale

    return [Locale("en").variants.get(one.upper(), one) for one in variants]


@cache
def _english() -> Mapping[str, str]:
    """Return the English names of CLDR, by language, or by language and script or region: `pt_BR`."""
    from babel import Locale

    return {name: text for name, text in Locale("en").languages.items() if not text.endswith("(Latin)")}


@cache
def _registered() -> Mapping[str, str]:
    """Return the names in the registry of BCP 47 by language."""
    from langcodes.registry_parser import parse_registry

    found = {}
    for record in parse_registry():  # type: ignore[no-untyped-call]
        if record.get("Type") == "language":
            name = str(record["Description"][0])
            found[str(record["Subtag"])] = name.partition(" (individual")[0].partition(" (macrolanguage")[0]
    return found
