"""The languages of one model, as its name tells them: what intake refuses before a model is loaded.

The names of the hub tell much: `facebook/nllb-200-distilled-600M` has the codes of NLLB, `Helsinki-NLP/opus-mt-en-de`
translates from English into German and nothing else, and `opus-mt-en-ROMANCE` has a group whose members its vocabulary alone
tells. What a name does not tell is left to the engine, which has the vocabulary.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from jobs.catalog import Family, ModelCard
from jobs.errors import LanguageUnsupported
from jobs.languages.codes import Codes, described, key_of
from jobs.languages.families import codes_of, codes_of_model, vocabulary_of

_OPUS: Final = re.compile(
    r"opus[-_]mt[-_](?:(?:tc|big|base|tiny|bible|synthetic|tatoeba|ft|transformer)[-_])*([a-z_+]+)-([a-z_+]+)",
    re.IGNORECASE,
)
"""Matches the name of a model of OPUS-MT: its sources and its targets, several joined by `_` or `+`."""

_MBART_PAIR: Final = re.compile(r"mbart-large-([a-z]{2})-([a-z]{2})\b", re.IGNORECASE)
_COVERED: Final = {
    covered: language
    for language, all_covered in {
        "ar": "arb acm afb ajp apc arq ary arz aeb acq ars",
        "no": "nb nn",
        "ms": "id zsm zlm max min",
        "sr": "hr bs cnr",
        "zh": "cmn yue lzh nan wuu hak gan cjy",
    }.items()
    for covered in all_covered.split()
}
"""Language -> the language of a name that may cover it: `opus-mt-en-ar` has dialects, `opus-mt-en-sh` Croatian."""

_GROUP_CODES: Final = """
    aav afa alg alv apa aqa aql art ath auf aus awd azc bad bai bat ber bih bnt btk cai cau cba ccn ccs cdc cdd cel cmc cpe cpf
    cpp crp csu cus day dmn dra egx esx euq fiu fox gem gme gmq gmw grk hmx hok hyx iir ijo inc ine ira iro itc jpx kar kdo khi
    kro map mkh mno mul mun myn nah nai ngf nic nub omq omv oto paa phi plf poz pqe pqw pra qwe roa sai sal sdv sem sgn sio sit
    sla smi son sqj ssa syd tai tbq trk tup tut tuw urj wak wen xgn xnd ypk zhx zle zls zlw znd
"""
_GROUPS: Final = frozenset(_GROUP_CODES.split())
"""The codes of ISO 639-5 for groups of languages, and `mul`. A model with a group has the languages that its vocabulary says."""


class NamedLanguages(Codes):
    """The languages in the name of a model of OPUS-MT.

    A language in a name stands for all its forms and scripts: `opus-mt-en-zh` may have simplified and traditional characters,
    and Cantonese. The vocabulary of the model tells which.
    """

    def find(self, tag: str) -> str | None:
        """Return the language of the name that covers a tag; None if there is none."""
        if (code := super().find(tag)) is not None:
            return code
        return next((code for code, own in self.tags.items() if _wide(own) == _wide(tag)), None)


@dataclass(frozen=True, slots=True)
class ModelLanguages:
    """What a model can read and write.

    `sources` or `targets` is None if only its vocabulary tells. `given` has the tags for which the card of the model has codes.
    """

    whose: str
    sources: Codes | None
    targets: Codes | None
    given: frozenset[str] = frozenset()

    def refused(self, source: str, target: str) -> Iterator[tuple[str, LanguageUnsupported]]:
        """Yield, for each language that the model cannot take, the field of the request and the error."""
        for field, codes, tag, verb in (
            ("source_language", self.sources, source, "read"),
            ("target_language", self.targets, target, "write"),
        ):
            if codes is not None and tag not in self.given and codes.find(tag) is None:
                has = f"cannot {verb} {described(tag)}"
                if len(codes) <= _FEW:
                    has += f", only {', '.join(key_of(tag).language for tag in codes.tags.values())}"
                yield field, LanguageUnsupported(self.whose, has, () if len(codes) <= _FEW else codes.nearest(tag))


_FEW: Final = 8
"""A model with at most this many languages on a side has them all named in an error."""


@lru_cache(256)
def languages_of(name: str, family: Family | None = None) -> ModelLanguages | None:
    """Return the languages of a model; None if neither its name nor its family tells any.

    Args:
        name: The repository or the folder of the model.
        family: Its family, if that is known otherwise.
    """
    last = name.rstrip("/").rpartition("/")[2]
    if family in (None, "marian") and (match := _OPUS.match(last)):
        return ModelLanguages(name, _side(name, match[1]), _side(name, match[2]))
    vocabulary = vocabulary_of(name, family)
    if vocabulary is None:
        return None
    codes = codes_of(vocabulary)
    if vocabulary == "t5":  # it was trained to translate from English alone
        others = [one for one in codes if one != "English"]
        return ModelLanguages(name, Codes("t5", ["English"], codes.tags), Codes("t5", others, codes.tags))
    if pair := _MBART_PAIR.search(last):
        return ModelLanguages(name, Codes(name, [pair[1]]), Codes(name, [pair[2]]))
    english = Codes(name, ["en"])
    is_to_many, is_to_one = ("one-to-many" in last or "en-x" in last), ("many-to-one" in last or "x-en" in last)
    return ModelLanguages(name, english if is_to_many else codes, english if is_to_one else codes)


def languages_of_card(card: ModelCard) -> ModelLanguages | None:
    """Return the languages of a model of the catalog; None if they are not known, or if it is no model made for translation."""
    if card.family is None and card.engine in ("causal", "vllm", "stub"):
        return None
    known = languages_of(card.source or card.family or "", card.family)
    given = card.options.get("languages")
    return replace(known, given=frozenset(given)) if known is not None and isinstance(given, Mapping) else known


def _side(name: str, text: str) -> Codes | None:
    """Return the languages of one side of a name; None if a group is among them."""
    codes = (
        [text] if re.fullmatch(r"[a-z]{2,3}_[A-Za-z]{2,4}", text) and text[-2:].isupper() else re.split(r"[_+]", text)
    )
    if any(code.isupper() or code in _GROUPS or not 2 <= len(code) <= 3 for code in codes):
        return None
    return NamedLanguages(name, codes, codes_of_model(name, "marian", codes).tags)


def _wide(tag: str) -> str:
    """Return the language of a tag, or the one whose name covers it in the names of OPUS-MT."""
    language = key_of(tag).language
    return _COVERED.get(language, language)
