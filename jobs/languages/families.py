"""The families of models made for translation, and the code of a language in each of their published vocabularies.

A family is the models that are told the languages in one way (`jobs.catalog.Family`). A vocabulary is a set of codes:
MADLAD-400 is a T5 with codes of its own, and the models of WMT 2021 are M2M100 with few codes. The family Marian has no codes: a
model of it translates one pair, or has codes that its tokenizer alone tells. So an engine, which has the tokenizer, asks
`codes_of_model`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, Literal, get_args

from jobs.catalog import Family
from jobs.languages.codes import Codes
from jobs.languages.tables import M2M100, MADLAD, MBART, MBART50, NLLB, WMT21

Vocabulary = Literal["m2m100", "wmt21", "nllb", "mbart", "mbart50", "t5", "flan-t5", "madlad"]
VOCABULARIES: Final[tuple[Vocabulary, ...]] = get_args(Vocabulary)

T5_NAMES: Final = MappingProxyType({"English": "en", "German": "de", "French": "fr", "Romanian": "ro"})
"""Name of a language in the prompts of T5 -> its tag."""

FLAN_T5_NAMES: Final = MappingProxyType({**T5_NAMES, "Finnish": "fi", "Spanish": "es"})
"""The same for Flan-T5. It was also trained on Czech, Russian and Turkish, whose letters its vocabulary lacks."""

_OTHER_TAGS: Final[Mapping[Family, Mapping[str, str]]] = MappingProxyType(
    {
        "m2m100": {"ns": "nso"},  # Northern Sotho, as Google once wrote it
        "nllb": {"sat_Beng": "sat-Olck"},  # its texts are in the script Ol Chiki
        "marian": {
            "cn": "zh-Hans",
            "gr": "el",
            "hbs": "sr-Latn",
            "jap": "ja",
            "jpn_Hani": "ja",
            "kor_Hani": "ko",
            "pob": "pt-BR",
            "sh": "sr-Latn",
        },
        "t5": {  # MADLAD-400
            "az_RU": "az-Cyrl-RU",
            "ber": "ber-Tfng",  # ber_Latn stands beside it
            "sh": "sr-Latn",  # BCP 47 has no tag of its own for Serbo-Croatian
        },
    }
)
"""Code that is not the tag that it seems to be -> its tag, by family."""


@cache
def codes_of(vocabulary: Vocabulary) -> Codes:
    """Return the codes of a published vocabulary."""
    if vocabulary in ("t5", "flan-t5"):
        names = T5_NAMES if vocabulary == "t5" else FLAN_T5_NAMES
        return Codes(vocabulary, names, names)
    return codes_of_model(vocabulary, _FAMILIES[vocabulary], _TABLES[vocabulary])


def code_of(vocabulary: Vocabulary, tag: str) -> str:
    """Return the code of a tag in a published vocabulary: `fra_Latn`, `fr`, `fr_XX`, or `French` for T5.

    Raises LanguageUnsupported, with the nearest languages, if the vocabulary does not have it.
    """
    return codes_of(vocabulary).code_of(tag)


def codes_of_model(whose: str, family: Family, codes: Iterable[str], given: Mapping[str, str] | None = None) -> Codes:
    """Return the codes of one model, as its tokenizer has them.

    Args:
        whose: The name of the model, for messages.
        family: The family of the model.
        codes: All codes of its tokenizer, without the marks of their tokens: `fr` for `__fr__`, `<2fr>` or `>>fr<<`. Codes that
            are no language, such as those for scripts and tasks in MADLAD-400, do no harm.
        given: Tag -> code, from the model's card. They go before everything else.
    """
    other = _OTHER_TAGS.get(family, {})
    tags = {code: code.partition("_")[0] if family in ("mbart", "mbart50") else other.get(code, "") for code in codes}
    return Codes(
        whose, [code for code in tags if _CODE.fullmatch(code)], {code: tag for code, tag in tags.items() if tag}, given
    )


def vocabulary_of(name: str, family: Family | None = None) -> Vocabulary | None:
    """Return the vocabulary of a model by the last part of its repository or path, and its family if that is known.

    None if they do not tell: of a T5 that others trained, it may have any languages.
    """
    last = name.rstrip("/").rpartition("/")[2].lower()
    for pattern, vocabulary in _NAMES:
        if re.search(pattern, last):
            return vocabulary if family in (None, _FAMILIES[vocabulary]) else None
    return family if family in ("m2m100", "nllb", "mbart", "mbart50") else None


_CODE: Final = re.compile(r"[a-z]{2,3}(?:[_-](?:[A-Za-z]{2,4}|[0-9]{3}))*")
"""Matches codes that may name a language."""

_FAMILIES: Final[Mapping[Vocabulary, Family]] = {
    "m2m100": "m2m100",
    "wmt21": "m2m100",
    "nllb": "nllb",
    "mbart": "mbart",
    "mbart50": "mbart50",
    "t5": "t5",
    "flan-t5": "t5",
    "madlad": "t5",
}

_TABLES: Final[Mapping[Vocabulary, tuple[str, ...]]] = {
    "m2m100": M2M100,
    "wmt21": WMT21,
    "nllb": NLLB,
    "mbart": MBART,
    "mbart50": MBART50,
    "madlad": MADLAD,
}

_NAMES: Final[tuple[tuple[str, Vocabulary], ...]] = (
    (r"nllb", "nllb"),
    (r"m2m[-_]?100", "m2m100"),
    (r"wmt21-dense", "wmt21"),
    (r"mbart-?(?:large-)?50", "mbart50"),
    (r"mbart", "mbart"),
    (r"madlad.*-mt", "madlad"),
    (r"flan-t5", "flan-t5"),
    (r"^t5-(?:small|base|large|3b|11b)$", "t5"),
)
"""A pattern that is looked for in the names of models, and their vocabulary. The first that is found counts."""
