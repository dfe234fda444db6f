"""Columns of string tables: finds by the headers which column holds the source, each language, the keys, comments and limits.

A header names a language by its tag (`fr-CA`, `fr_CA`), by its name in English or in itself (`French (Canada)`, `Deutsch`), or by
both (`fr (French)`, `French [fr]`). The options name columns by their headers where that is not enough.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import regex
from babel.core import Locale, UnknownLocaleError, get_global

from jobs.did_you_mean import did_you_mean, folded
from jobs.documents.source import Options

_SOURCE: Final = frozenset(("source", "sourcetext", "sourcestring", "original", "originaltext", "sourcelanguage"))
_TARGET: Final = frozenset(("target", "targettext", "translation", "translatedtext", "translated"))
_KEY: Final = ("key", "id", "stringid", "identifier", "stringkey", "resourceid", "resname", "msgctxt")
_CONTEXT: Final = (
    *("context", "comment", "comments", "note", "notes", "description", "developercomment", "developernote"),
    *("instructions", "hint"),
)
_MOST: Final = (
    *("maxlength", "maxlen", "maxchars", "maxcharacters", "maximumlength", "lengthlimit", "charlimit"),
    *("characterlimit", "limit", "max", "maxwidth"),
)
_BRACKETS: Final = regex.compile(r"(.*?)\s*[(\[](.*)[)\]]")
_TAG: Final = regex.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")


class NoColumn(ValueError):
    """A table lacks a column. `str()` says which, `remedy` what to do about it, `is_source` whether it is that of the source."""

    def __init__(self, what: str, remedy: str, *, is_source: bool = False) -> None:
        super().__init__(what)
        self.remedy, self.is_source = remedy, is_source


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column is which, counted from 0. `appended` are the languages that get a column behind the last."""

    source: int
    targets: tuple[tuple[str, int], ...]
    key: int | None
    context: int | None
    most: int | None
    width: int
    appended: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, int], ...]:
        """Each target language with its column, which for the appended ones is behind the last."""
        return (*self.targets, *((language, self.width + n) for n, language in enumerate(self.appended)))


def layout_of(headers: Sequence[str], options: Options) -> Layout:
    """Return which column of a table is which.

    Args:
        headers: The cells of the first row.
        options: The languages, and the columns that are named.

    Raises:
        NoColumn: The source or a target language has no column, or an option names a column that the table lacks.
    """
    chosen = options.columns
    source = _source(headers, options)
    found = _targets(headers, options, source)
    lacking = tuple(one for one in options.languages if one not in found)
    if lacking and not chosen.appends:
        raise NoColumn(
            f"no column is for {lacking[0]!r}; the columns are {_shown(headers)}",
            "name a column of it by its tag, or have one appended",
        )
    targets = tuple((language, found[language]) for language in options.languages if language in found)
    taken = {source, *found.values()}
    return Layout(
        source=source,
        targets=targets,
        key=_other(headers, chosen.key, _KEY, taken),
        context=_other(headers, chosen.context, _CONTEXT, taken),
        most=_other(headers, chosen.most, _MOST, taken),
        width=len(headers),
        appended=lacking,
    )


def _source(headers: Sequence[str], options: Options) -> int:
    if options.columns.source is not None:
        return _named(headers, options.columns.source, is_source=True)
    for n, header in enumerate(headers):
        if folded(header) in _SOURCE:
            return n
    language = options.source_language or "en"
    for wanted in _wider(_tag(language)):
        if (index := _first(headers, wanted, ())) is not None:
            return index
    regional = [n for n, header in enumerate(headers) if _is_of(header, _tag(language))]
    if len(regional) == 1:
        return regional[0]
    raise NoColumn(
        f"no column is the source; the columns are {_shown(headers)}",
        f"call it 'source' or {language!r}, or name it",
        is_source=True,
    )


def _targets(headers: Sequence[str], options: Options, source: int) -> dict[str, int]:
    """Return the column of each target language that has one. No column is for two languages."""
    named = dict(options.columns.targets)
    found = {one: _named(headers, named[one]) for one in options.languages if one in named}
    for step in range(3):
        for language in options.languages:
            wanted = _wider(_tag(language))
            index = _first(headers, wanted[step], {source, *found.values()}) if step < len(wanted) else None
            if index is not None and language not in found:
                found[language] = index
    if len(options.languages) == 1 and not found:
        index = next((n for n, one in enumerate(headers) if folded(one) in _TARGET and n != source), None)
        if index is not None:
            found[options.languages[0]] = index
    return found


def _first(headers: Sequence[str], wanted: str, taken: Collection[int]) -> int | None:
    return next((n for n, header in enumerate(headers) if n not in taken and wanted in _tags_of(header, wanted)), None)


def _wider(tag: str) -> list[str]:
    """Return a tag, and those without its region that are for the same script: `zh-hans` for `zh-cn`, `fr` for `fr-ca`."""
    parts = tag.split("-")
    likely = get_global("likely_subtags")
    script = next((one for one in parts[1:] if len(one) == 4 and one.isalpha()), "") or _script(likely, tag)
    usual = _script(likely, parts[0])
    made = [tag, f"{parts[0]}-{script}" if script else tag, parts[0] if script in ("", usual) else tag]
    return list(dict.fromkeys(made))


def _script(likely: Mapping[str, str], tag: str) -> str:
    """Return the script in which a language is usually written, in lower case."""
    language, *rest = tag.split("-")
    region = rest[-1].upper() if rest and len(rest[-1]) == 2 else ""
    full = likely.get(f"{language}_{region}" if region else language) or likely.get(language, "")
    return next((one.lower() for one in full.split("_")[1:] if len(one) == 4), "")


def _is_of(header: str, language: str) -> bool:
    """Whether a header is a tag of a language with a region."""
    return bool(_TAG.fullmatch(header.strip())) and _tag(header).partition("-")[0] == language


def _tags_of(header: str, wanted: str) -> set[str]:
    """Return the tags that a header may stand for; a name stands for `wanted` alone."""
    match = _BRACKETS.fullmatch(header.strip())
    parts = [header, *((match[1], match[2]) if match else ())]
    tags = {_tag(one) for one in parts if _TAG.fullmatch(one.strip())}
    return {*tags, wanted} if folded(header) in _names(wanted) else tags


def _tag(text: str) -> str:
    return text.strip().replace("_", "-").lower()


@lru_cache(maxsize=256)
def _names(tag: str) -> frozenset[str]:
    """Return the folded names of a language: in English, and in itself."""
    try:
        locale = Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return frozenset()
    found = (locale.get_display_name("en"), locale.get_display_name(), Locale("en").languages.get(str(locale)))
    return frozenset(folded(one) for one in found if one)


def _named(headers: Sequence[str], wanted: str, *, is_source: bool = False) -> int:
    """Return the column of this header. Raises NoColumn if there is none."""
    for fold in (str, str.strip, folded):
        for n, header in enumerate(headers):
            if fold(header) == fold(wanted):
                return n
    what = f"no column is called {wanted!r}{did_you_mean(wanted, headers)}; the columns are {_shown(headers)}"
    raise NoColumn(what, "name another", is_source=is_source)


def _other(headers: Sequence[str], chosen: str | None, names: Sequence[str], taken: set[int]) -> int | None:
    if chosen is not None:
        return _named(headers, chosen)
    headers_folded = [folded(one) for one in headers]
    found = (headers_folded.index(one) for one in names if one in headers_folded)
    return next((index for index in found if index not in taken), None)


def _shown(headers: Sequence[str]) -> str:
    shown = [repr(one.strip()[:30]) for one in headers if one.strip()]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "") or "without headers"
