"""The families of models made for translation, and the code of a language in each.

A family is all models that read languages in the same way. Marian has no codes of its own: a model translates one pair, or has
the codes of its vocabulary (`models.py`).
"""

import re
from collections.abc import Container, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, get_args

from jobs.catalog import Family
from jobs.languages.codes import Codes
from jobs.languages.tables import M2M100, MADLAD, MBART25, MBART50, NLLB, WMT21

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)

T5_NAMES: Final = MappingProxyType({"English": "en", "German": "de", "French": "fr", "Romanian": "ro"})
"""Name of a language in the prompts of T5 -> its tag."""

FLAN_T5_NAMES: Final = MappingProxyType({**T5_NAMES, "Finnish": "fi", "Spanish": "es"})
"""The same for Flan-T5. It was also trained on Czech, Russian and Turkish, whose letters its vocabulary lacks."""

_OTHER_TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ns": "nso",  # M2M100: Northern Sotho, in the way of Google
        "sat_Beng": "sat-Olck",  # NLLB: its texts are in the script Ol Chiki
        "az_RU": "az-Cyrl-RU",  # MADLAD
        "sh": "sr-Latn",  # MADLAD: BCP 47 has no tag of its own for Serbo-Croatian
        "ber": "ber-Tfng",  # MADLAD has ber_Latn beside it
    }
)
"""Code that is not the tag that it seems to be -> its tag."""


def codes_of(family: Family) -> Codes:
    """Return the codes of a family. Raises LookupError for `marian`, which has none of its own."""
    return _codes()[family]


def code_of(family: Family, tag: str) -> str:
    """Return the code of a tag in a family: `fra_Latn`, `fr`, `fr_XX`, or `French` for T5.

    Raises LanguageUnsupported, with the nearest languages, if the family does not have it.
    """
    return codes_of(family).code_of(tag)


def token_of(family: Family, code: str) -> str:
    """Return the token of a code in the vocabularies of a family: `__fr__`, `<2fr>`, `>>fr<<`; for the others the code itself.

    T5 and Flan-T5 have no such token: the code is a word of their prompt.
    """
    return _TOKENS.get(family, "{}").format(code)


def family_of_vocabulary(architecture: str, vocabulary: Container[str]) -> Family | None:
    """Return the family of a model by its architecture and the tokens of its tokenizer; None if it is none of these.

    Args:
        architecture: `model_type` of the model's configuration, such as `m2m_100`.
        vocabulary: The tokens that the tokenizer has.
    """
    for family, kind, token in _SIGNS:
        if kind == architecture and (not token or token in vocabulary):
            return family
    return None


def family_of_name(source: str) -> Family | None:
    """Return the family of a model by the last part of its repository or path; None if the name does not tell."""
    name = source.rstrip("/").rpartition("/")[2].lower()
    if _T5.fullmatch(name):
        return "t5"
    return next((family for part, family in _NAMES.items() if part in name), None)


_TOKENS: Final[Mapping[Family, str]] = {"m2m100": "__{}__", "wmt21": "__{}__", "madlad": "<2{}>", "marian": ">>{}<<"}

_SIGNS: Final[tuple[tuple[Family, str, str], ...]] = (
    ("marian", "marian", ""),
    ("nllb", "m2m_100", "fra_Latn"),
    ("nllb", "nllb-moe", "fra_Latn"),
    ("m2m100", "m2m_100", "__fr__"),
    ("wmt21", "m2m_100", "__ha__"),
    ("mbart50", "mbart", "pt_XX"),
    ("mbart25", "mbart", "fr_XX"),
    ("madlad", "t5", "<2fr>"),
    ("t5", "t5", ""),
)
"""Family, architecture, and a token that tells it from the families of the same architecture. The first that fits counts."""

_T5: Final = re.compile(r"t5-(?:small|base|large|3b|11b)")
"""Matches the names of the models of T5 as they were published. Models that others made of them have any languages."""

_NAMES: Final[Mapping[str, Family]] = {
    "opus-mt": "marian",
    "opus_mt": "marian",
    "nllb": "nllb",
    "m2m100": "m2m100",
    "m2m-100": "m2m100",
    "wmt21-dense": "wmt21",
    "mbart-large-50": "mbart50",
    "mbart50": "mbart50",
    "mbart-50": "mbart50",
    "mbart": "mbart25",
    "madlad": "madlad",
    "flan-t5": "flan-t5",
}
"""A part of a model's name -> its family. The first that the name has counts."""


@cache
def _codes() -> Mapping[Family, Codes]:
    def bare(codes: tuple[str, ...]) -> dict[str, str]:
        return {code: code.partition("_")[0] for code in codes}

    return {
        "nllb": Codes("nllb", NLLB, _OTHER_TAGS),
        "m2m100": Codes("m2m100", M2M100, _OTHER_TAGS),
        "wmt21": Codes("wmt21", WMT21),
        "mbart25": Codes("mbart25", MBART25, bare(MBART25)),
        "mbart50": Codes("mbart50", MBART50, bare(MBART50)),
        "madlad": Codes("madlad", MADLAD, _OTHER_TAGS),
        "t5": Codes("t5", T5_NAMES, T5_NAMES),
        "flan-t5": Codes("flan-t5", FLAN_T5_NAMES, FLAN_T5_NAMES),
    }
