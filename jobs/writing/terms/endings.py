"""Endings: which words of a text are forms of a word of a term, by the endings of nouns and adjectives of a language.

Words are forms of one another if they are the same stem with two endings of one group, such as `party` and `parties`. A stem has
at least three letters. Accents and umlauts of the stem do not count, since they change with the form: `Haus` and `Häuser`. Words
that differ only in accents are two words, but for English, Greek and Arabic, and for words in capitals.

Not covered are compounds (`Rechnungsnummer` is no form of `Rechnung`), changes within a stem (`foot`, `feet`), and verbs. A
language without endings here, such as Vietnamese, has no forms.
"""

# ruff: noqa: RUF001 - endings of other scripts

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final

from jobs.writing.words.keywords import AGGLUTINATING, PREFIXES, folded, suffixes_of

_NORDIC: Final = ("- a e n r s t en et er ar or na ne ns ts erna arna orna ene rna rne erne ers ens ets",)
_GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "en": ("- s es", "y ies", "f ves", "fe ves", "sis ses", "um a"),
    "de": ("- e en er es s n ern nen em se sen", "um en", "a en", "us en", "er erin erinnen"),
    "nl": ("- s en n e es", "f ven", "s zen"),
    "fr": ("- s x e es", "al aux ale ales", "ail aux", "if ifs ive ives", "eur eurs euse euses rice rices"),
    "es": ("- s es", "z ces", "o a os as", "or ora ores oras"),
    "pt": ("- s es", "ao oes aes aos", "l is", "m ns", "o a os as", "or ora ores oras"),
    "it": ("o i a e", "co chi ci ca che", "go ghi gi ga ghe", "io i ia ie", "- i"),
    "ca": ("- s es", "a es", "o ons", "c ques", "g gues"),
    "sv": _NORDIC,
    "da": _NORDIC,
    "nb": _NORDIC,
    "nn": _NORDIC,
    "no": _NORDIC,
}
"""Language -> its groups of endings; `-` is no ending. They have no endings of verbs: `accounting` is no form of `account`."""

_SAME_AS: Final = {"hr": "sl", "sr": "sl", "bs": "sl", "sl": "sl"}
_MORE: Final[Mapping[str, Sequence[str]]] = {
    "ar": ("- ات ون ين ان ة ه ها هم ي ية ا تي ك كم نا ت تك ته تها تنا تكم تهم تين تان",),
    "sl": ("- a e i o u om em ama ima ov ev eva ova i ih im imi ega emu oga omu iji ijo ja je jo ju jem",),
    "lt": ("as o ui a u e ai u ams us ais uose", "is io iui i iu yje iai iams ius iais iuose", "a os ai a a oje"),
    "lv": ("s a am u i iem us os", "is a im i i iem us os", "a as ai u e am as", "e es ei i em"),
}
_SOFTENED: Final[Mapping[str, str]] = {"p": "b", "k": "g", "t": "d", "c": "c"}
"""The last letter of a Turkish stem before a vowel: `kitap`, `kitabı`. (`folded` makes g of ğ and c of ç.)"""

_ACCENTS_OPTIONAL: Final = frozenset({"en", "el", "ar"})
_ACCENTS_OF_ENDINGS: Final = frozenset({"pl", "cs", "sk", "lt", "lv", "ro"})
"""Languages with endings that differ only in accents: `faktura`, `fakturą`."""

_ARTICLES: Final[Mapping[str, Sequence[str]]] = {"ar": ("ال",), "he": ("ה",)}
_LEAST: Final = 3
_TAG: Final = "\0"


@cache
def _groups(language: str) -> Sequence[frozenset[str]]:
    """Return the groups of endings of a language, folded."""
    written = _GROUPS.get(language) or _MORE.get(_SAME_AS.get(language, language))
    if written is not None:
        return [frozenset("" if one == "-" else folded(one) for one in group.split()) for group in written]
    known = suffixes_of(language)
    return [known] if known is not None and known != {""} else []


def has_forms(language: str) -> bool:
    """Whether the words of a language (`en`, not `en-GB`) have forms here."""
    return bool(_groups(language)) or language in AGGLUTINATING


def stems_of_term(word: str, language: str) -> frozenset[str]:
    """Return the stems of a word of a term. A word of a text that has one of them by `stems_in_text` is a form of it."""
    plain = folded(word)
    if language in AGGLUTINATING:
        return frozenset(_own_agglutinated(plain, language))
    articles = _ARTICLES.get(language, ())
    with_article = next((one for one in articles if word.startswith(one) and len(plain) - len(one) >= _LEAST), "")
    bare = plain.removeprefix(with_article)
    return frozenset({*_stems(plain, language), *_stems(bare, language)})


@lru_cache(maxsize=65_536)
def stems_in_text(word: str, language: str) -> frozenset[str]:
    """Return the stems that a word of a text may have."""
    plain = folded(word)
    if (most := AGGLUTINATING.get(language)) is not None:
        least = 2 if language == "ko" else _LEAST
        return frozenset(plain[: len(plain) - cut] for cut in range(min(most, len(plain) - least) + 1))
    found = set(_stems(plain, language))
    for prefix in PREFIXES.get(language, ()):
        if word.startswith(prefix) and len(word) - len(prefix) >= _LEAST:
            bare = plain[len(prefix) :]
            found.update(_stems(bare, language))
            found.add(bare)
    return frozenset(found)


def differs_in_accents(word: str, own: str, language: str) -> bool:
    """Whether a word of a text has the letters of a word of a term, but other accents that make it another word."""
    if word == own or language in _ACCENTS_OPTIONAL or folded(word) != folded(own):
        return False
    return language not in _ACCENTS_OF_ENDINGS or word[:-1] != own[:-1]


def _stems(plain: str, language: str) -> Iterator[str]:
    """Yield each stem with the number of its group. In Arabic and Hebrew a word may stand behind prefixes, and is a stem too."""
    if language in PREFIXES:
        yield plain
    least = len(plain) - _LEAST
    for ending, length, tag in _tagged(language):
        if length <= least and plain.endswith(ending):
            yield plain[: len(plain) - length] + tag


@cache
def _tagged(language: str) -> Sequence[tuple[str, int, str]]:
    """Return each ending of a language, its length, and the tag of its group."""
    return [
        (ending, len(ending), f"{_TAG}{number}")
        for number, group in enumerate(_groups(language))
        for ending in sorted(group)
    ]


def _own_agglutinated(plain: str, language: str) -> Iterator[str]:
    """Yield the stems to which suffixes are added: the word, also with its last letter softened, and without a last vowel."""
    least = 2 if language == "ko" else _LEAST
    if len(plain) < least:
        return
    yield plain
    if language == "ko":
        return
    if language in ("tr", "az") and (soft := _SOFTENED.get(plain[-1])) and len(plain) > least:
        yield plain[:-1] + soft
    if language in ("fi", "et"):
        if plain.endswith("nen"):
            yield f"{plain[:-3]}s"
        for double in ("kk", "pp", "tt"):
            if plain[-3:-1] == double and len(plain) > least + 1:  # kauppa, kaupan
                yield plain[:-2] + plain[-1]
    if len(plain) > 5:
        yield plain[:-1]
