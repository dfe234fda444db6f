"""Keywords: finds them in a text as a reader would, in any order within a sentence and in their inflected forms.

A keyword of several words occurs in a sentence that has all its words; function words do not count (`how to grow tomatoes`
occurs in `we grow a tomato`). Yoast counts in this way too. Forms are recognised by the suffixes of a language, not by a
dictionary: `city` and `cities` are forms of one word, `go` and `went` are not. Text without spaces between words is searched for
the keyword as it is.
"""

# ruff: noqa: RUF001 - suffixes of other scripts

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import regex

from jobs.writing.words.function_words import function_words
from jobs.writing.words.words import is_unspaced, primary, words

_MARKS: Final = regex.compile(r"[\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670\u00ad\u200c\u200d]+")
_SENTENCE_END: Final = regex.compile(r"(?:(?<=\w{4}[)\"'*_]?)[.…]++|(?<![!?])[!?]++)[)\"'”»*_]*+\s|[。！？।॥؟]++|\n++")
_APOSTROPHE: Final = regex.compile(r"['\u2019]")
_WORD_ONLY: Final = regex.compile(r"[\w'\u2019-]*")

_SLAVIC_CYRILLIC: Final = (
    "а я у ю ы и і ї е є о ё ой ей ою ею ом ем ам ям ами ями ах ях ов ев ів їв й ь ий ый ая яя ое ее ые ие ого его ому "
    "ему ым им ых их ую юю ій ії ія ію ть т ет ит ут ют ат ят ал ала ало али ил ила или л ла ло ли ец ца цы цу цов ок ек ка ки "
    "ку ке кой кам ками ках ков та то те ът ят ите ата"
)
_SLAVIC_LATIN: Final = (
    "a y i e u o ę ą ó ów om ami ach owi em ie iem ego emu ej ych ich im ym ymi imi ou ů ům ách ích ech mi ovi é á í ý "
    "ého ému ím ým ých ek ka ki kę ku kiem kom kami kach ce cy ci ec ca ce ců ek ky ata at ť t ć ć at it ět ją je ję"
)
_NORDIC: Final = "a e n r s t en et er ar or na ne ns ts erna arna orna ene rna rne erne ers ens ets ade te de"
_ROMANCE: Final = (
    "a e i o s x as es os is ia ie io hi he ar er ir are ere ire ado ido ada ida ados idos adas idas ando endo iendo an en "
    "ano ono ato ata ati ate iti ito ita ao oes aes ais eis al aux z ces"
)
_SUFFIXES: Final[Mapping[str, str]] = {
    "en": "s es d ed ing e y ies ied",
    "de": "e en er es s n em ern nen in innen st t te ten et",
    "nl": "e en s n t d de te den ten je jes er",
    "sv": _NORDIC,
    "da": _NORDIC,
    "nb": _NORDIC,
    "no": _NORDIC,
    "nn": _NORDIC,
    "fr": "s x e es ee ees al aux er ez ent ant ons ait aient ait eur eurs if ive ifs ives",
    "es": _ROMANCE,
    "pt": _ROMANCE,
    "it": _ROMANCE,
    "ca": _ROMANCE,
    "gl": _ROMANCE,
    "ro": "a e i u ul ului l le lor ele ii uri urile ea ei ile ilor iilor iei ie",
    "ru": _SLAVIC_CYRILLIC,
    "uk": _SLAVIC_CYRILLIC,
    "be": _SLAVIC_CYRILLIC,
    "bg": _SLAVIC_CYRILLIC,
    "pl": _SLAVIC_LATIN,
    "cs": _SLAVIC_LATIN,
    "sk": _SLAVIC_LATIN,
    "el": "ος ου ο οι ους ων ον α ας ες η ης εις εων ι ια ιων ιου ιες μα ματα ματος ματων ω ει ουμε ετε ουν ησ ε",
    "hi": "ा े ी ो ि ों ें ीं ियों ियाँ ियां ओं एं एँ ाओं ाएं ाएँ",
    "ar": "ات ون ين ان ة ه ها هم ي ية ا تي",
    "he": "ים ות ה ת י יה יות",
    "fa": "ها های هایی ی ان",
    "id": "nya lah kah an kan",
    "ms": "nya lah kah an kan",
    "vi": "",
}
AGGLUTINATING: Final = {"fi": 6, "et": 5, "hu": 6, "tr": 6, "az": 6, "ko": 3, "eu": 5, "ka": 5, "kk": 6}
"""Languages that add several suffixes to a word, and how many letters the suffixes may have together."""

PREFIXES: Final[Mapping[str, Sequence[str]]] = {
    "ar": ("وال", "بال", "كال", "فال", "لل", "ال", "و", "ب", "ل", "ف", "ك"),
    "he": ("וה", "שה", "מה", "בה", "לה", "ה", "ו", "ב", "ל", "מ", "ש", "כ"),
}
"""Language -> words that it writes before another word without a space: `and`, `the`, `with`."""

_SHORT_STEMS: Final = frozenset({"ar", "he", "hi", "fa", "es", "pt"})
"""Languages whose stems may have only two letters, since vowels are not written as letters, or since `luz` becomes `luces`."""

_MOST_FORMS: Final = 200
"""With more forms than this in a text, the words of each sentence are found, which then takes less time."""

_LEAST_STEM: Final = 3
_UNKNOWN_STEM: Final = 4


def folded(text: str) -> str:
    """Return a text in the form in which keywords are compared: casefolded, without accents, in compatible characters."""
    if text.isascii():
        return text.lower()
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", plain).replace("ı", "i")


@cache
def suffixes_of(language: str) -> frozenset[str] | None:
    """Return the folded suffixes of a language (`en`, not `en-GB`), with an empty one; None if the language is not known."""
    known = _SUFFIXES.get(language)
    return None if known is None else frozenset({"", *map(folded, known.split())})


def same_word(one: str, other: str, language: str) -> bool:
    """Whether two folded words are forms of one word, by the suffixes of the language (`en`, not `en-GB`).

    In a language without a table here, words are forms of one word if they share at least four first letters, and if at most
    three letters differ after them.
    """
    if one == other:
        return True
    length = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rests = (one[length:], other[length:])
    if most := AGGLUTINATING.get(language):
        short, long = sorted(rests, key=len)
        least = 2 if language == "ko" else _LEAST_STEM
        return length >= least and len(short) <= (0 if language == "ko" else 2) and len(long) <= most
    if (suffixes := suffixes_of(language)) is None:
        return length >= _UNKNOWN_STEM and max(map(len, rests)) <= 3
    if language == "en":
        return length >= _LEAST_STEM and _english(one[length - 1], *sorted(rests, key=len))
    least = _LEAST_STEM - (language in _SHORT_STEMS)
    return any(
        length - back >= least and suffixes.issuperset({one[length - back :], other[length - back :]})
        for back in range(3)
    )


def _english(last: str, short: str, long: str) -> bool:
    """Whether two endings after a common stem that ends in `last` are endings of the same English word."""
    if short in ("e", "y"):
        return long in ("ing",) if short == "e" else long in ("ies", "ied")
    if not short and long[:1] == last and long[1:] in ("ing", "ed"):  # plan, planning
        return True
    if short == "d" or long == "d":
        return last == "e"
    known = ("", "s", "es", "ed", "ing", "d")
    return (short in known and long in known) or (not short and long in ("'s", "\u2019s"))


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword, taken apart."""

    text: str
    words: frozenset[str]
    """Its folded words, without function words unless it has no others."""
    strings: tuple[str, ...]
    """Its parts that are searched for as they are: those of a script without spaces, and names with signs, such as `C++`."""
    joined: frozenset[str]
    """Its hyphenated words, joined without the hyphen. A text may write them as one word or as two."""

    def count(self, found: Mapping[str, int], sentence: str) -> int:
        """Return how often the keyword occurs in a folded sentence. `found` says how often each of its words was found there."""
        least = min((found.get(word, 0) for word in self.words), default=len(sentence) if self.strings else 0)
        return min((least, *(_occurrences(sentence, string) for string in self.strings))) if least else 0


def keyword_of(text: str, language: str | None) -> Keyword:
    """Take a keyword apart."""
    own, strings, joined = set[str](), list[str](), set[str]()
    for part in folded(text).split():
        word = part.lstrip("#(\"'\u2019").rstrip(".,;:!?)\"'\u2019")
        if is_unspaced(part) or not _WORD_ONLY.fullmatch(word) or not word:
            strings.append(part.strip(',;:!?()"') or part)
        else:
            plain = word.replace("-", "")
            joined.update([plain] if plain != word else ())
            parts = [one for one in _APOSTROPHE.split(plain) if len(one) > 1] or [plain]  # l'eau, John's
            own.update(_without_article(one, primary(language)) for one in parts)
    joining = _joining(primary(language))
    kept = own - joining if own - joining or strings else own
    return Keyword(text, frozenset(kept), tuple(strings), frozenset(joined))


@cache
def _joining(language: str) -> frozenset[str]:
    return frozenset(map(folded, function_words(language)))


def _without_article(word: str, language: str) -> str:
    return word.removeprefix("ال") if language == "ar" and len(word) > 4 else word


class Reader:
    """Finds keywords in texts of one language."""

    def __init__(self, keywords: Sequence[str], language: str | None) -> None:
        self.keywords = [keyword_of(text, language) for text in keywords]
        self._language = primary(language)
        self._heads: dict[str, set[str]] = {}
        self._led_by: dict[str, set[int]] = {"": set()}
        for n, keyword in enumerate(self.keywords):
            self._led_by.setdefault(max(keyword.words, key=lambda word: (len(word), word), default=""), set()).add(n)
            for word in keyword.words:
                self._heads.setdefault(word[:2], set()).add(word)
        self._joined = frozenset[str]().union(*(keyword.joined for keyword in self.keywords))
        self._known: dict[str, Sequence[str]] = {}
        self._single = {
            n for n, one in enumerate(self.keywords) if len(one.words) == 1 and not one.strings and not self._joined
        }
        """The keywords of one word: they are counted in the whole text, without a look at its sentences."""

    def counts(self, text: str) -> list[int]:
        """Return how often each keyword occurs in a text, in the order of the keywords."""
        whole = folded(text)
        there = [all(string in whole for string in keyword.strings) for keyword in self.keywords]
        in_text = self._found(words(whole)) if not self._joined else {}
        totals = [in_text.get(min(self.keywords[n].words), 0) if n in self._single else 0 for n in range(len(there))]
        if len(self._single) == len(totals):
            return totals
        always = [n for n in self._led_by[""] if there[n]]
        needed = [] if always or self._joined else self._forms_in(whole)
        for sentence in _sentences(whole):
            if needed and not any(all(any(map(sentence.__contains__, forms)) for forms in one) for one in needed):
                continue  # most sentences end here, without a search for their words
            found = self._found(words(sentence))
            for n in {*always, *(n for word in found for n in self._led_by.get(word, ()) if there[n])} - self._single:
                totals[n] += self.keywords[n].count(found, sentence)
        return totals

    def _forms_in(self, text: str) -> Sequence[Sequence[Sequence[str]]]:
        """Return for each keyword of several words, and for each of its words, the forms of the word that a text has; nothing if
        there are too many of them.
        """
        known = [(form, own) for form, own in self._known.items() if own and form in text]
        if len(known) > _MOST_FORMS:
            return []
        return [
            [[form for form, own in known if word in own] for word in keyword.words]
            for n, keyword in enumerate(self.keywords)
            if n not in self._single
        ]

    def _found(self, in_order: Sequence[str]) -> Mapping[str, int]:
        """Return how often words of keywords occur among the words of a sentence."""
        found: dict[str, int] = {}
        for word, times in Counter(in_order).items():
            for own in self._words_of(word):
                found[own] = found.get(own, 0) + times
        for pair in map("".join, pairwise(in_order)) if self._joined else ():
            if pair in self._joined:
                found[pair] = found.get(pair, 0) + 1
        return found

    def _words_of(self, word: str) -> Sequence[str]:
        """Return the words of keywords that have the word of the text as a form."""
        if (known := self._known.get(word)) is None:
            forms = list(self._forms(word))
            near = {own for form in forms for own in self._heads.get(form[:2], ())}
            known = [own for own in near if any(same_word(form, own, self._language) for form in forms)]
            self._known[word] = known
        return known

    def _forms(self, word: str) -> Iterator[str]:
        yield word
        if "-" in word:
            yield word.replace("-", "")
            yield from word.split("-")
        if "'" in word or "\u2019" in word:  # l'eau, dell'acqua, tomato's
            yield from (part for part in _APOSTROPHE.split(word) if len(part) > 1)
        for prefix in PREFIXES.get(self._language, ()):
            if word.startswith(prefix) and len(word) - len(prefix) > 1:
                yield word[len(prefix) :]


def _sentences(text: str) -> Iterator[str]:
    ends = [0, *(found.end() for found in _SENTENCE_END.finditer(text)), len(text)]
    return (text[start:end] for start, end in pairwise(ends) if start < end)


def _occurrences(sentence: str, string: str) -> int:
    """Count the string in a sentence. No letter may stand beside an occurrence, unless the script has no spaces."""
    if is_unspaced(string):
        return sentence.count(string)
    before = r"(?<!\w)" if string[0].isalnum() else ""
    after = r"(?![\w+#])" if string[-1] in "+#" or string[-1].isalnum() else ""
    return len(regex.findall(before + regex.escape(string) + after, sentence))
