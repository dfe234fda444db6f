"""Finds links, handles, addresses, telephone numbers and prices that the model made up: they are not in the request.

If a text is made from a source, its numbers and names must stand in the request too.
"""

import re
from collections.abc import Collection, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Final

import regex

from jobs.checks import contacts
from jobs.checks.amounts import Amount, amounts, value_of
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.reading import SURE_SCORE, SURE_WORDS, language_of
from jobs.checks.signs.number_words import number_words
from jobs.checks.text.secrets import is_given
from jobs.findings import Severity
from jobs.writing.links.web_links import LINK
from jobs.writing.words.words import primary

_BARE: Final = regex.compile(
    r"(?<![\w@./:-])(?:www\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}+)\.){1,4}"
    r"(?:com|org|net|edu|gov|info|biz|shop|store|app|dev|online|site|eu|de|at|ch|fr|es|it|nl|be|pl|pt|ru|ua|cz|se|dk|fi|gr|tr|jp|cn|"
    r"kr|in|br|uk|ie|us|ca|au)"
    r"(?:/[\w./?=&%#~-]{0,200}+)?(?![\w@-]|\.[a-z0-9])(?<![./])"
)
_DOTTED: Final = re.compile(r"[a-z0-9]\.[a-z]")
_TRAILING: Final = "/.,;:!?)"
_USUAL_NAMES: Final = (
    "i i'm i've i'll i'd i\u2019m i\u2019ve i\u2019ll i\u2019d monday tuesday wednesday thursday friday saturday "
    "sunday january february march april may june july august september october november december christmas easter "
    "english german french spanish italian european american god internet instagram facebook linkedin twitter x "
    "threads mastodon bluesky youtube tiktok whatsapp google mr mrs ms dr ok tv ai diy faq q a pro tip vip ceo usa "
    "uk eu us ps nb ii iii iv"
)
USUAL_NAMES: Final = frozenset(_USUAL_NAMES.split())
"""Words that are often written with a capital and are not names of facts."""

_CAPITALISING: Final = frozenset({"de", "lb", "als", "bar", "nds"})
"""Languages that write all nouns with a capital. Names cannot be told from other nouns there, so they are not judged."""

_DIGITS: Final = re.compile(r"\d+")
_AFTERNOON: Final = re.compile(r"(?:[:.]\d\d)?\s?p\.?\s?m\b", re.IGNORECASE)
_SCALE: Final = regex.compile(
    r"[ \u00a0\u202f-]?(?:(?P<e3>k(?!\p{L})|thousand|tausend|tsd|mille(?!\p{L})|mil(?!\p{L})|mila|тыс\p{L}*|हज़ार|हजार|千|천|ألف)"
    r"|(?P<e4>万|萬|만)|(?P<e5>lakh|लाख)"
    r"|(?P<e6>m(?!\p{L})|mn(?!\p{L})|mio|million\p{L}*|milh\p{L}+|mill\p{L}+|milion\p{L}*|миллион\p{L}*|млн|مليون|百万|백만)"
    r"|(?P<e7>crore|करोड़)|(?P<e8>億|亿|억)"
    r"|(?P<e9>bn(?!\p{L})|billion(?!en)|mrd|milliard\p{L}*|миллиард\p{L}*|млрд|مليار))",
    regex.IGNORECASE,
)
"""Words that multiply the number before them; the name of the group is the power of ten."""
_NUMBERING: Final = re.compile(r"\(\d{1,2}/\d{1,2}\)(?=\n|$)")
"""The number of a post of a thread at the end of its words: `(1/5)`."""

_TITLE_CASE: Final = frozenset({"en"})
"""Languages that write the words of a title with capitals. A sentence with many capitals may be a title there."""

_WORD: Final = regex.compile(r"[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}'\u2019-]*+")
_ENGLISH_ENDING: Final = re.compile(r"(?:e?s|['\u2019]s?|n|an|ian|ish|ese|y)")
_STEM: Final = 4
"""Names are compared without their last three letters, but by at least this many, so that `Kassels` is `Kassel`."""

_JOINS: Final = regex.compile(r"[\p{L}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}]]", regex.V1)
"""A letter that makes a word with a number beside it. Counters of Chinese, Japanese, Korean and Thai do not: `130冊`."""

_SMALL: Final = 10
"""A whole number up to this one is not judged, since it often counts parts of the text: `3 tips`."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    asked = subject.asked.casefold()
    made_from_source = limits["facts"] and bool(subject.request.get("source_text"))
    for piece in subject.pieces:
        text = piece.uncoded
        taken = list(_links(text, asked))
        for start, end, is_link in taken:
            yield _broken(piece, start, end, "a link", Severity.FAIL if is_link else Severity.REVIEW)
        places = [(start, end) for start, end, _ in taken]
        places += [found.span() for found in LINK.finditer(text)] if ":/" in text else []
        for found in contacts.HANDLE.finditer(text) if "@" in text else ():
            if not _is_whole_in(found[0].casefold(), asked) and not _overlaps(*found.span(), places):
                yield _broken(piece, *found.span(), "a handle", Severity.FAIL)
        contacts_found = (("an address of mail", contacts.emails(text)), ("a telephone number", contacts.phones(text)))
        for what, spans in contacts_found:
            for start, end in spans:
                if not is_given(text[start:end], asked) and not _overlaps(start, end, places):
                    yield _broken(piece, start, end, what)
                places.append((start, end))
        if subject.request.get("thread"):
            places += [found.span() for found in _NUMBERING.finditer(text)]
        yield from _amounts(piece, text, asked, places, made_from_source)
        if made_from_source:
            yield from _names(piece, text, asked, places)


def _broken(piece: Piece, start: int, end: int, what: str, severity: Severity | None = None) -> Broken:
    words = piece.text[start:end]
    return Broken(f"{words!r} is {what} that the request does not hold", words, None, piece.place(start, end), severity)


def _links(text: str, asked: str) -> Iterator[tuple[int, int, bool]]:
    """Yield the links that the request does not hold, and whether each has a scheme."""
    if "://" in text or ":/" in text:
        given = {_plain(link[0]) for link in LINK.finditer(asked)}
        for found in LINK.finditer(text):
            link = _plain(found[0])
            if link not in given and not _names_host(link, asked):
                yield *found.span(), True
    for bare in _BARE.finditer(text) if _DOTTED.search(text) else ():
        if not _is_whole_in(_plain(bare[0]), asked):
            yield *bare.span(), False


def _plain(link: str) -> str:
    plain = link.casefold().partition("://")[2] or link.casefold()
    return plain.removeprefix("www.").rstrip(_TRAILING)


def _is_whole_in(words: str, asked: str) -> bool:
    """Whether a handle or a bare link stands in the request, and not as a part of a longer one."""
    if words not in asked:
        return False
    return regex.search(rf"(?:(?<![\w@-]|\w\.)|(?<![\w.-])www\.){regex.escape(words)}(?![\w-]|\.\w)", asked) is not None


def _names_host(link: str, asked: str) -> bool:
    """Whether a link is only a host, and the request names this host in its text: `Visit acme.com`."""
    return "/" not in link and regex.search(rf"(?<![\w.-]){regex.escape(link)}(?![\w-]|\.\w)", asked) is not None


def _amounts(
    piece: Piece, text: str, asked: str, places: list[tuple[int, int]], made_from_source: bool
) -> Iterator[Broken]:
    found = [one for one in amounts(text) if not _overlaps(one.start, one.end, places)]
    if not any(one.is_price or made_from_source for one in found):
        return
    given = _values(asked) if made_from_source else {one.value for one in amounts(asked)}
    for one in found:
        if one.value in given or (made_from_source and _scaled(text, one) in given):
            continue
        if one.is_price:
            yield _broken(piece, one.start, one.end, "a price")
        elif made_from_source and _is_fact(text, one.start, one.end, one.value):
            yield _broken(piece, one.start, one.end, "a number")


@lru_cache(maxsize=16)
def _values(asked: str) -> frozenset[str]:
    """Return the values of the numbers in a request, in the other forms in which a text may give them too.

    `1.2 million` is also 1200000, `18.30` also 18 and 30, `6 pm` also 18, and a number in words is also one in figures.
    """
    values: set[str] = set()
    for one in amounts(asked):
        values |= {one.value, _scaled(asked, one)}
        values.update(map(value_of, _DIGITS.findall(asked[one.start : one.end])))
        if _AFTERNOON.match(asked, one.end) and one.value.isdecimal() and int(one.value) < 12:
            values.add(str(int(one.value) + 12))
        if one.value.isdecimal() and 12 < int(one.value) <= 24:
            values.add(str(int(one.value) - 12))
    if patterns := number_words(language_of(asked)[0]):
        small, large = patterns
        if small.search(asked):
            values.update(map(str, range(_SMALL, 20)))
        if large.search(asked):
            values.update(str(tens) for tens in range(20, 101, 10))
    return frozenset(values)


def _scaled(text: str, one: Amount) -> str:
    """Return the value of a number times the word behind it: `1.2 million` is `1200000`."""
    found = _SCALE.match(text, one.end)
    if found is None or found.lastgroup is None:
        return one.value
    whole = Decimal(one.value) * 10 ** int(found.lastgroup[1:])
    return f"{whole.normalize():f}"


def _is_fact(text: str, start: int, end: int, value: str) -> bool:
    """Whether a number is a fact: a percent, not whole, or above `_SMALL`, and not part of a word such as `B2B` or `#12`."""
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if _JOINS.match(before) or _JOINS.match(after) or before in ("#", "@", "_"):
        return False
    return "." in value or int(value) > _SMALL or text[end : end + 1] == "%" or text[end : end + 2].strip() == "%"


def _names(piece: Piece, text: str, asked: str, places: list[tuple[int, int]]) -> Iterator[Broken]:
    """Yield names that are not in the request. The first word of a sentence is not judged, since it has a capital anyway."""
    language = primary(piece.language or _language(text, asked))
    if not language or language in _CAPITALISING:
        return
    known = frozenset(_WORD.findall(asked))
    stems = frozenset(map(_stem, known)) | known
    for start, end in piece.spans:
        words = list(_WORD.finditer(text, start, end))
        capitals = [word for word in words[1:] if word[0][0].isupper() and not any(map(str.isdecimal, word[0]))]
        if len(capitals) * 2 > len(words) and language in _TITLE_CASE:
            continue
        for word in capitals:
            name = word[0].casefold().removesuffix("'s").removesuffix("\u2019s")
            before = text[word.start() - 1 : word.start()]
            if (
                name in USUAL_NAMES
                or _is_known(name, known, stems, language)
                or before in ("#", "@", '"', "\u201c", ":")
            ):
                continue
            if text[max(0, word.start() - 2) : word.start()].strip() in _OPENS or _overlaps(*word.span(), places):
                continue
            yield _broken(piece, *word.span(), "a name")


def _language(text: str, asked: str) -> str:
    """Return the language of a text; that of its request if the text is too short to tell."""
    language, score = language_of(text)
    return language if score >= SURE_SCORE or len(_WORD.findall(text)) >= SURE_WORDS else language_of(asked)[0]


_OPENS: Final = frozenset({":", "-", "\u2013", "\u2014", "\u2022", "\u2026", "(", "/"})
"""Signs after which a word may have a capital without being a name."""


def _is_known(name: str, known: Collection[str], stems: Collection[str], language: str) -> bool:
    """Whether a name is a word of the request, also with another ending. English has few endings: `Miller` is not `Mill`."""
    if name in known:
        return True
    if language == "en":
        return any(_ENGLISH_ENDING.fullmatch(one[len(name) :]) for one in known if one.startswith(name)) or any(
            name.startswith(one) and _ENGLISH_ENDING.fullmatch(name[len(one) :]) for one in known if len(one) >= _STEM
        )
    return name in stems or _stem(name) in stems


def _stem(word: str) -> str:
    return word[: max(_STEM, len(word) - 3)]


def _overlaps(start: int, end: int, places: list[tuple[int, int]]) -> bool:
    return any(start < right and left < end for left, right in places)


CHECKS: Final = (
    Check(
        "invented",
        Severity.REVIEW,
        "A link, handle, address, telephone number or price (with `facts`, also a number or name of a text made from a source) "
        "that the request does not hold.",
        _find,
        {"facts": True},
    ),
)
