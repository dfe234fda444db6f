"""Finds links, handles, addresses, telephone numbers and prices that the model made up: they are not in the request.

If a text is made from a source, its numbers and names must stand in the request too.
"""

import re
from collections.abc import Iterator
from typing import Final

import regex

from jobs.checks import contacts
from jobs.checks.amounts import amounts
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.reading import language_of
from jobs.checks.text.secrets import is_given
from jobs.findings import Severity
from jobs.writing.links.web_links import LINK
from jobs.writing.words.words import primary

_BARE: Final = regex.compile(
    r"(?<![\w@./:-])(?:www\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}+)\.){1,4}"
    r"(?:com|org|net|edu|gov|info|biz|shop|store|app|dev|online|site|eu|de|at|ch|fr|es|it|nl|be|pl|pt|ru|ua|cz|se|dk|fi|gr|tr|jp|cn|"
    r"kr|in|br|uk|ie|us|ca|au)"
    r"(?:/[\w./?=&%#~-]{0,200}+)?(?![\w@-])(?<![./])"
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

_NUMBERING: Final = re.compile(r"\(\d{1,2}/\d{1,2}\)(?=\n|$)")
"""The number of a post of a thread at the end of its words: `(1/5)`."""

_WORD: Final = regex.compile(r"[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}'\u2019-]*+")
_STEM: Final = 4
"""Names are compared without their last three letters, but by at least this many, so that `Kassels` is `Kassel`."""

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
        places = [(start, end) for start, end, _ in taken] + [found.span() for found in LINK.finditer(text)]
        for found in contacts.HANDLE.finditer(text) if "@" in text else ():
            if found[0].casefold() not in asked and not _overlaps(*found.span(), places):
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
        if _plain(bare[0]) not in asked:
            yield *bare.span(), False


def _plain(link: str) -> str:
    plain = link.casefold().partition("://")[2] or link.casefold()
    return plain.removeprefix("www.").rstrip(_TRAILING)


def _names_host(link: str, asked: str) -> bool:
    """Whether a link is only a host, and the request names this host in its text: `Visit acme.com`."""
    return "/" not in link and regex.search(rf"(?<![\w.-]){regex.escape(link)}(?![\w-]|\.\w)", asked) is not None


def _amounts(
    piece: Piece, text: str, asked: str, places: list[tuple[int, int]], made_from_source: bool
) -> Iterator[Broken]:
    found = [one for one in amounts(text) if not _overlaps(one.start, one.end, places)]
    if not any(one.is_price or made_from_source for one in found):
        return
    given = {one.value for one in amounts(asked)}
    for one in found:
        if one.value in given:
            continue
        if one.is_price:
            yield _broken(piece, one.start, one.end, "a price")
        elif made_from_source and _is_fact(text, one.start, one.end, one.value):
            yield _broken(piece, one.start, one.end, "a number")


def _is_fact(text: str, start: int, end: int, value: str) -> bool:
    """Whether a number is a fact: a percent, not whole, or above `_SMALL`, and not part of a word such as `B2B` or `#12`."""
    if text[start - 1 : start].isalpha() or text[end : end + 1].isalpha() or text[start - 1 : start] in ("#", "@", "_"):
        return False
    return "." in value or int(value) > _SMALL or text[end : end + 1] == "%" or text[end : end + 2].strip() == "%"


def _names(piece: Piece, text: str, asked: str, places: list[tuple[int, int]]) -> Iterator[Broken]:
    """Yield names that are not in the request. The first word of a sentence is not judged, since it has a capital anyway."""
    language = primary(piece.language or language_of(text)[0])
    if not language or language in _CAPITALISING:
        return
    known = _WORD.findall(asked)
    stems = {_stem(word) for word in known} | set(known)
    for start, end in piece.spans:
        words = list(_WORD.finditer(text, start, end))
        capitals = [word for word in words[1:] if word[0][0].isupper() and not any(map(str.isdecimal, word[0]))]
        if len(capitals) * 2 > len(words):
            continue  # a title
        for word in capitals:
            name = word[0].casefold().removesuffix("'s").removesuffix("\u2019s")
            before = text[word.start() - 1 : word.start()]
            if name in USUAL_NAMES or name in stems or _stem(name) in stems or before in ("#", "@", '"', "\u201c", ":"):
                continue
            if text[max(0, word.start() - 2) : word.start()].strip() in _OPENS or _overlaps(*word.span(), places):
                continue
            yield _broken(piece, *word.span(), "a name")


_OPENS: Final = frozenset({":", "-", "\u2013", "\u2014", "\u2022", "\u2026", "(", "/"})
"""Signs after which a word may have a capital without being a name."""


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
