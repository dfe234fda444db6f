"""The framing of each family: which tokens stand around a text, and with which tokens its translation begins.

| family | the encoder reads | the decoder starts with | then it must write |
|---|---|---|---|
| Marian, one pair of languages | text `</s>` | the start token of its config | nothing |
| Marian, several targets | `>>fra<<` text `</s>` | the start token of its config | nothing |
| M2M100 | `__en__` text `</s>` | `</s>` | `__fr__` |
| NLLB | `eng_Latn` text `</s>`, in the legacy form text `</s>` `eng_Latn` | `</s>` | `fra_Latn` |
| mBART-50 | `en_XX` text `</s>` | `</s>` | `fr_XX` |
| mBART-cc25 | text `</s>` `en_XX` | `fr_XX` | nothing |
| T5 | `translate English to French: ` and the text as one text, `</s>` | `<pad>` | nothing |
| MADLAD-400 (T5) | `<2fr>` text `</s>` | its start token | nothing |

The forms are those of the papers and of transformers' tokenizers: Marian arXiv:1804.00344, M2M100 arXiv:2010.11125, NLLB
arXiv:2207.04672, mBART arXiv:2001.08210, mBART-50 arXiv:2008.00401, T5 arXiv:1910.10683, MADLAD-400 arXiv:2309.04662.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.catalog import Family
from jobs.languages.codes import Codes, key_of
from jobs.languages.families import codes_of_model
from jobs.languages.models import ModelLanguages, languages_of
from jobs.languages.names import language_name
from workers.engines.families.family import Frame, Framing

_TOKENS: Final[Mapping[Family, re.Pattern[str]]] = {
    "marian": re.compile(r">>(?P<code>[\w@.-]+)<<"),
    "m2m100": re.compile(r"__(?P<code>[a-z]{2,3})__"),
    "nllb": re.compile(r"(?P<code>[a-z]{3}_[A-Z][a-z]{3})"),
    "mbart50": re.compile(r"(?P<code>[a-z]{2}_[A-Z]{2})"),
    "mbart": re.compile(r"(?P<code>[a-z]{2}_[A-Z]{2})"),
    "t5": re.compile(r"<2(?P<code>[A-Za-z][\w-]*)>"),
}
"""Matches the text of a token for a language, by family."""

T5_PREFIX: Final = "translate {source} to {target}: "
"""The prefix of T5's translations, unless the weights or the card have another. Languages have their English names in it."""


@dataclass(frozen=True, slots=True)
class _Marian:
    """Marian. A model of one pair of languages has no tokens for languages, so only its tokenizer may say which they are."""

    language_tokens: Mapping[str, int]
    codes: Codes
    start: int
    eos: int
    pair: ModelLanguages | None

    def frame(self, source_language: str, target_language: str) -> Frame:
        if self.language_tokens:
            token = self.language_tokens[self.codes.code_of(target_language)]
            return Frame(self.start, before=(token,), after=(self.eos,))
        for _, error in self.pair.refused(source_language, target_language) if self.pair else ():
            raise error
        return Frame(self.start, after=(self.eos,))


@dataclass(frozen=True, slots=True)
class _Tagged:
    """The families with a token for the source language and one for the target: M2M100, NLLB, and both mBARTs."""

    language_tokens: Mapping[str, int]
    codes: Codes
    start: int
    eos: int
    source_is_last: bool
    target_is_start: bool

    def frame(self, source_language: str, target_language: str) -> Frame:
        source, target = (self.language_tokens[self.codes.code_of(tag)] for tag in (source_language, target_language))
        before, after = ((), (self.eos, source)) if self.source_is_last else ((source,), (self.eos,))
        if self.target_is_start:
            return Frame(target, before, after)
        return Frame(self.start, before, after, forced=(target,))


@dataclass(frozen=True, slots=True)
class _T5:
    """T5 and its relatives: a token for the target language if the model has such tokens, else a prefix in words."""

    language_tokens: Mapping[str, int]
    codes: Codes
    start: int
    eos: int
    prefix: str
    prefixes: Mapping[tuple[str, str], str]

    def frame(self, source_language: str, target_language: str) -> Frame:
        if self.language_tokens:
            token = self.language_tokens[self.codes.code_of(target_language)]
            return Frame(self.start, before=(token,), after=(self.eos,))
        pair = (key_of(source_language).language, key_of(target_language).language)
        names = {"source": language_name(pair[0]), "target": language_name(pair[1])}
        return Frame(self.start, after=(self.eos,), prefix=self.prefixes.get(pair) or self.prefix.format_map(names))


def framing_of(
    family: Family, tokenizer: Any, config: Any, *, languages: Mapping[str, str], prefix: str | None = None
) -> Framing:
    """Return the framing of a model.

    Args:
        family: The model's family.
        tokenizer: Its tokenizer, of transformers.
        config: Its config, of transformers.
        languages: BCP 47 tag -> the model's code, from the model's card.
        prefix: The prefix of its texts from the model's card, for T5. It may have `{source}` and `{target}`.
    """
    tokens = language_tokens(family, tokenizer)
    codes = codes_of_model("the model", family, tokens, languages)
    eos, start = int(tokenizer.eos_token_id), getattr(config, "decoder_start_token_id", None)
    if family == "marian":
        pair = languages_of(f"opus-mt-{tokenizer.source_lang}-{tokenizer.target_lang}", "marian")
        return _Marian(tokens, codes, int(tokenizer.pad_token_id if start is None else start), eos, pair)
    if family == "t5":
        pad = int(tokenizer.pad_token_id if start is None else start)
        prefixes = {} if prefix is not None else _prefixes(config)
        return _T5(tokens, codes, pad, eos, T5_PREFIX if prefix is None else prefix, prefixes)
    legacy = family == "nllb" and bool(getattr(tokenizer, "legacy_behaviour", False))
    last = family == "mbart" or legacy
    return _Tagged(tokens, codes, eos if start is None else int(start), eos, last, family == "mbart")


def language_tokens(family: Family, tokenizer: Any) -> dict[str, int]:
    """Return the model's code of each language -> its token."""
    vocabulary = {**tokenizer.get_vocab(), **getattr(tokenizer, "lang_token_to_id", {})}
    own = getattr(tokenizer, "lang_code_to_id", None)
    pattern, found = _TOKENS[family], {}
    for text, token in vocabulary.items():
        match = pattern.fullmatch(text)
        if match and (own is None or match["code"] in own):
            found[match["code"]] = int(token)
    return dict(sorted(found.items(), key=lambda one: one[1]))


def _prefixes(config: Any) -> dict[tuple[str, str], str]:
    """Return source and target language -> prefix, for the pairs that the config of a T5 names."""
    found = {}
    for name, params in (getattr(config, "task_specific_params", None) or {}).items():
        match = re.fullmatch(r"translation_([a-z]{2,3})_to_([a-z]{2,3})", str(name))
        if match and isinstance(params, Mapping) and params.get("prefix"):
            found[match[1], match[2]] = str(params["prefix"])
    return found
