"""Placeholders: the marks in a text that a program replaces, such as `%s`, `{name}`, `{{ user }}` and `$t(key)`.

A request does not name the format of its text, so all formats are looked for at once. Marks that also occur in prose (a price
such as `$5`, `50 % de`, `%50` in Turkish) are left out, or count only if `known` has them. Arguments of ICU messages with plurals
or choices are read by jobs/checks/signs/icu.py.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5
from typing import Final, Literal

import regex

from jobs.writing.words.words import primary

Family = Literal["braces", "printf", "percent", "other", "loose"]

_PRINTF_LETTER: Final = r"(?:[sdf@](?![A-Za-z]{5})|[diouxXeEfFgGaAcspnr@](?![A-Za-z]))"
_PRINTF: Final = (
    rf"%(?:\([\w.\- ]{{1,60}}\)[#0+-]{{0,4}}\d{{0,4}}(?:\.\d{{1,3}})?[A-Za-z]|\{{[\w.]{{1,60}}\}}|"
    rf"<[\w.]{{1,60}}>[0-9.]{{0,5}}[A-Za-z]|"
    rf"(?:\d{{1,2}}\$)?[#0+-]{{0,4}}(?:\d{{1,4}}|\*)?(?:\.(?:\d{{1,3}}|\*))?(?:hh?|ll?|[qjzt])?{_PRINTF_LETTER})"
)
_BRACES: Final = (
    r"\{\{\{[^{}\n]{1,80}\}\}\}|\{\{[^{}\n]{1,80}\}\}|\{%[^{}\n]{1,120}%\}|"
    r"[$#]\{[^{}\s]{1,80}\}|"
    r"\{\s?[$-]?(?:[\p{L}_][\w.\-]{0,60}|\d{1,3})?(?:\[\w{1,40}\]|"
    r"\.\w{1,40}){0,4}(?:![rsa])?(?::[^{}\s]{0,40})?\s?\}|"
    r"\{\s?\w{1,60}\s?,\s?(?:number|date|time|spellout|ordinal|duration)\s?(?:,[^{}\n]{1,60})?\}"
)
_FOUND: Final = regex.compile(
    rf"(?P<braces>{_BRACES})|(?P<symfony>%[A-Za-z_][A-Za-z0-9_.]{{1,40}}%(?![A-Za-z0-9_]))|(?P<percent>%%)|"
    rf"(?P<printf>{_PRINTF})|"
    r"(?P<qt>%L?[1-9](?!\d|[.,]\d|[A-Za-z_]))|"
    r"(?P<call>\$t\([^()\n]{1,80}\)|@:(?:[\w.]{1,60}|\{'[^'\n]{1,60}'\}))|(?P<resource>@(?:\+?id|string|plurals|"
    r"array|color|dimen|drawable)/[\w.]{1,60})|"
    r"(?P<variable>(?<![\w$])\$[A-Za-z_]\w{0,40})|(?P<colon>(?<![\w:/])(?<=[\s(\"'>]|^):[a-z_]{2,40}(?![\w:]))|"
    r"(?P<entity>&[A-Za-z][\w.-]{1,40};)",
    regex.V1,
)
_LOOSE: Final = frozenset({"qt", "variable", "colon", "symfony"})
"""Groups whose marks may also be prose."""

_DATE_LETTERS: Final = frozenset({"%Y", "%m", "%B", "%H", "%M", "%y", "%b"})
_NUMBER_FIRST: Final = frozenset({"tr", "eu", "ku"})
"""Languages that write the percent sign before the number: `%1`."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder: its place in the text, its text, and its family of formats."""

    start: int
    end: int
    text: str
    family: Family

    @property
    def key(self) -> str:
        """The text by which placeholders are compared: without spaces inside double braces."""
        if self.text.startswith("{{") or self.text.startswith("{%"):
            return "".join(self.text.split())
        return self.text


@lru_cache(maxsize=8)
def placeholders(
    text: str, known: Collection[str] | None = None, language: str | None = None
) -> tuple[Placeholder, ...]:
    """Return the placeholders of a text, in their order.

    Args:
        text: The text.
        known: The placeholders of the source. If given, marks that may also be prose count only if they are among these.
        language: The language of the text. In Turkish and Basque `%5` is a percentage.
    """
    if not any(sign in text for sign in "%{$@:&"):
        return ()
    found: list[Placeholder] = []
    is_date = any(f"{letter}" in text for letter in _DATE_LETTERS)
    last = 0
    for match in _FOUND.finditer(text):
        group, start, mark = match.lastgroup or "", match.start(), match[0]
        if _is_prose(text, start, last, group, mark) or (group == "printf" and is_date and len(mark) == 2):
            continue
        if group in _LOOSE and known is not None and mark not in known:
            continue
        found.append(Placeholder(start, match.end(), mark, _family(group)))
        last = match.end()
    if known is None and not _is_qt(found, language):
        found = [one for one in found if not _is_numbered(one.text)]
    return tuple(found)


def _is_prose(text: str, start: int, last: int, group: str, mark: str) -> bool:
    """Whether a mark is a percentage (`100%s`), or an entity of HTML."""
    if group == "entity":
        return mark[1:] in html5
    is_bare = group in ("printf", "qt", "symfony") and mark[1:2] not in "({<"
    return is_bare and start > last and text[start - 1].isdigit()


def _family(group: str) -> Family:
    if group in _LOOSE:
        return "loose"
    return group if group in ("braces", "printf", "percent") else "other"  # type: ignore[return-value]


def _is_numbered(mark: str) -> bool:
    return mark[:1] == "%" and mark[-1].isdigit()


def _is_qt(found: list[Placeholder], language: str | None) -> bool:
    """Whether marks such as `%1` are placeholders of Qt: they count from 1."""
    numbers = {one.text[-1] for one in found if _is_numbered(one.text)}
    fewest = 2 if primary(language) in _NUMBER_FIRST else 1
    return "1" in numbers and len(numbers) >= fewest
