"""Addresses: the links, bare domains and e-mail addresses in a text, each with its place."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from jobs.checks.contacts import EMAIL
from jobs.writing.links.web_links import LINK


class Address(NamedTuple):
    """A link, domain or e-mail address, and its place in the text."""

    start: int
    end: int
    text: str


_TOP: Final = "com|org|net|edu|gov|io|dev|app|info|eu|de|fr|es|nl|pl|ru|ch|jp|cn|kr|br|uk"
_TOP_LEVEL: Final = re.compile(rf"\.(?:{_TOP})(?![A-Za-z0-9_-]|\.[A-Za-z0-9])", re.IGNORECASE)
_WWW: Final = re.compile(r"(?<![A-Za-z0-9@._/-])www\.(?:[A-Za-z0-9-]{1,63}+\.){0,6}[A-Za-z]{2,24}+", re.IGNORECASE)
_PATH: Final = re.compile(r"/[A-Za-z0-9._~%!$&*+,;=:@/?#-]*+")
_IN_DOMAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
LONGEST_DOMAIN: Final = 253
_END: Final = ".,:;!?*'"


@lru_cache(maxsize=8)
def addresses(text: str) -> tuple[Address, ...]:
    """Return the links with a scheme, the e-mail addresses and the bare domains of a text, in their order."""
    found: list[Address] = []
    if "://" in text:
        found += [Address(*match.span(), match[0]) for match in LINK.finditer(text)]
    if "@" in text:
        found += [Address(*match.span(), match[0]) for match in EMAIL.finditer(text)]
    if "." in text:
        found += _bare_domains(text)
    found.sort(key=lambda one: (one.start, -one.end))
    apart: list[Address] = []
    for one in found:
        if not apart or one.start >= apart[-1].end:
            apart.append(one)
    return tuple(apart)


def _bare_domains(text: str) -> Iterator[Address]:
    """Yield the domains without a scheme that begin with `www.` or end with a common top-level domain, with their paths."""
    for match in _WWW.finditer(text):
        yield _with_path(text, *match.span())
    for match in _TOP_LEVEL.finditer(text):
        start = match.start()
        while start > max(0, match.start() - LONGEST_DOMAIN) and text[start - 1] in _IN_DOMAIN:
            start -= 1
        if text[start].isalnum() and start < match.start() and (start == 0 or text[start - 1] not in "@/_"):
            yield _with_path(text, start, match.end())


def _with_path(text: str, start: int, end: int) -> Address:
    path = _PATH.match(text, end)
    address = text[start : path.end() if path else end].rstrip(_END)
    return Address(start, start + len(address), address)
