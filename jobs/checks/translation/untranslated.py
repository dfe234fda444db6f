"""Finds lines of a translation that were left as they are in the source. Weblate, pofilter, Phrase and Xbench have this check.

Names, code, placeholders, numbers, addresses and terms that the glossary keeps are the same in both languages, so they do not
count. Words that many languages share (`Online-Shop`, `Status: OK`) do not count either, if the line has no other words.
"""

# ruff: noqa: RUF001 - words of other scripts

from collections.abc import Iterator
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.translation.lines import line_pairs, prose_only, shown
from jobs.findings import Severity
from jobs.writing.terms.row_terms import row_terms
from jobs.writing.words.words import primary

MOST_NAME_WORDS: Final = 5
"""A line of at most this many words that all begin with a capital may be a name."""

IDEOGRAPHS_OF_A_WORD: Final = 2
FEWEST_SHARED: Final = 12
"""Chinese and Japanese share characters. Between them a line is judged only if it has at least this many, and no kana."""

_WORD: Final = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|"
    r"[\p{L}\p{M}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]]+(?:['\u2019][\p{L}\p{M}]+)*+",
    regex.V1,
)
_UNSPACED: Final = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]")
_KANA: Final = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_CODE: Final = regex.compile(
    r"^\s*+(?:[$>#]\s|\w++\s*+[=(]|(?:npm|pip|git|docker|sudo|apt|cd|curl|brew|import|from|def|class|return|const|"
    r"let|var)\s)|[;{}]\s*+$|::|->|=>|\w\(\)|\w_\w|</"
)
_LATIN: Final = regex.compile(r"\p{Latin}")

_SHARED_WORDS: Final = (
    "ok status online offline server software hardware internet web website e mail email newsletter blog shop app "
    "apps chat team start stop "
    "update updates hotel restaurant bar café radio tv video audio info information informations international "
    "standard premium plus pro basic "
    "extra mini maxi super test version beta alpha login admin client browser link links code database cloud "
    "computer laptop tablet "
    "smartphone design designer manager marketing management partner service services support copyright ticket taxi "
    "bus total "
    "normal original central global local digital analog festival film club park museum sport golf tennis yoga "
    "pizza pasta sushi burger "
    "menu format text name index script plugin widget router modem server cookie cookies tracking banner download "
    "upload streaming "
    "podcast feedback workshop event events ton note page image table option options import export min max km kg cm "
    "mm id nr no a b c d e"
)
SHARED: Final = frozenset(_SHARED_WORDS.split())
"""Words that are the same in many languages of Latin script."""

_COMMON_WORDS: Final = (
    "the a an of and or to in on for with from by at is are be your you our we this that it not no all now how what "
    "why when where who "
    "save changes change cancel close open delete remove add edit log sign out up password account settings search "
    "send submit next back "
    "continue finish done view show hide more less learn get read buy add cart checkout order orders free shipping "
    "terms privacy policy "
    "help contact about home please error warning success failed loading try again welcome hello thank thanks good "
    "best running shoes "
    "water green red blue white black small large first last day week month year time today tomorrow yesterday "
    "people work make use "
    "der die das und oder nicht mit für von zu ist sind ein eine le la les et ou de du des avec pour est sont un "
    "une el los las y con para es "
    "son il lo gli e per di è sono o os as com não и в на не с для по από και το τα για"
)
COMMON: Final = frozenset(_COMMON_WORDS.split())
"""Words that show that a capitalised line is a sentence or a label and not a name."""

_PARTICLES: Final = frozenset(
    [
        "of",
        "the",
        "and",
        "&",
        "de",
        "la",
        "las",
        "los",
        "del",
        "di",
        "da",
        "do",
        "dos",
        "das",
        "van",
        "von",
        "der",
        "den",
        "le",
        "les",
        "et",
        "y",
        "e",
        "i",
    ]
)


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    languages = primary(subject.source_language), primary(subject.language)
    if subject.source is None or not subject.pieces or "" in languages or languages[0] == languages[1]:
        return
    piece = subject.pieces[0]
    if not _may_be_same(subject.source, piece.text):
        return
    kept = _kept_terms(subject)
    source = prose_only(subject.source, piece.form, subject.source_language)
    target = prose_only(piece.text, piece.form, piece.language)
    for line in line_pairs(source, target):
        if _key(line.source) != _key(line.target):
            continue
        written = subject.source[line.start : line.start + len(line.source)]
        words = translatable_words(line.source, kept, languages)
        if words >= limits["min_words"] and not _CODE.search(written):
            start = line.start + len(line.target) - len(line.target.lstrip())
            where = piece.place(start, line.start + len(line.target.rstrip()))
            yield Broken(
                f"{shown(piece.text[where.start : where.end])} is the same as its source",
                words,
                limits["min_words"],
                where,
            )


def translatable_words(line: str, kept: frozenset[str], languages: tuple[str, str]) -> float:
    """Return how many words of a line a translator would change; 0 if the line may be a name or is shared by both languages."""
    found = _WORD.findall(line)
    unspaced = sum(_UNSPACED.match(word) is not None for word in found)
    if unspaced:
        shares = {"zh", "ja", "yue"}.issuperset(languages)
        if shares and (unspaced < FEWEST_SHARED or ("ja" not in languages or _KANA.search(line) is None) is False):
            return 0
        return unspaced / IDEOGRAPHS_OF_A_WORD + len(found) - unspaced
    words = [word for word in found if word.casefold() not in kept]
    folded = [word.casefold() for word in words]
    if all(word in SHARED or len(word) == 1 for word in folded):
        return 0
    if _may_be_name(words):
        return 0
    return len(words)


def _may_be_name(words: list[str]) -> bool:
    if len(words) > MOST_NAME_WORDS or not all(map(_LATIN.match, words)):
        return False
    named = [word for word in words if word.casefold() not in _PARTICLES]
    return all(word[:1].isupper() and word.casefold() not in COMMON for word in named)


def _kept_terms(subject: Subject) -> frozenset[str]:
    terms = row_terms(subject.request, subject.source_language)
    same = [
        term for term, targets in terms.glossary.items() if term.casefold() in (target.casefold() for target in targets)
    ]
    return frozenset(word.casefold() for term in (*same, *terms.names) for word in _WORD.findall(term))


def _may_be_same(source: str, target: str) -> bool:
    """Whether a line of the target may equal a line of the source. This quick test spares most texts the rest of the check."""
    lines, others = source.splitlines(), target.splitlines()
    if len(lines) != len(others):
        return _key(source) == _key(target)
    return any(
        one[:1].casefold() == other[:1].casefold() and _key(one) == _key(other)
        for one, other in zip(map(str.strip, lines), map(str.strip, others), strict=True)
        if one
    )


def _key(line: str) -> str:
    return " ".join(line.split()).casefold().rstrip(".!?。")


CHECKS: Final = (
    Check(
        "untranslated",
        Severity.REVIEW,
        "No line of the translation is the same as its source, except names, code and terms that the glossary keeps.",
        _find,
        {"min_words": 2},
    ),
)
