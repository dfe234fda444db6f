"""Reads what editors wrote as entries of a memory: memories in TMX, and translated documents such as a corrected catalogue.

An entry of TMX that Nightpress wrote itself says whether a model or an editor wrote it, and stays that. All else is an editor's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO, Final

from pydantic import TypeAdapter, ValidationError

from jobs.documents.document import State
from jobs.documents.rebuilding import segments
from jobs.documents.registry import format_of
from jobs.documents.source import Options
from jobs.errors import DocumentError, RequestError
from jobs.exchange.tmx import ALL_LANGUAGES, TmxUnit, TmxVariant, read_tmx
from jobs.languages.tags import same_language
from jobs.memory.entry import ORIGINS, Entry
from jobs.writing.fields import LanguageTag

PROPERTY: Final = "x-nightpress-"
"""The properties of a unit that say what TMX has no place for begin with this."""
KEPT: Final = ("origin", "context", "terms", "formality", "model", "template", "verdict", "batch")
"""The fields of an entry that are such properties."""
MOST_OF_CONTEXT: Final = 4_000
"""The context of a row has at most this many characters, and an entry's is cut as the row's is."""

_TAG: Final[TypeAdapter[str]] = TypeAdapter(LanguageTag)
_DATE: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How a file is read: its languages, where the file does not name them or names them otherwise, and the time of entries that
    have none.
    """

    at: datetime
    source_language: str | None = None
    target_language: str | None = None


def language_tag(option: str, language: str | None) -> str | None:
    """Return a language as rows have it. Raises RequestError, which names the option, for what is no language."""
    if language is None:
        return None
    try:
        return _TAG.validate_python(language)
    except ValidationError:
        raise RequestError(f"{option} {language}: give it a language tag such as en or pt-BR") from None


def editors_entries(file: BinaryIO, name: str, how: ReadAs) -> Iterator[Entry]:
    """Yield the entries of a file that is open at its beginning. Pairs without a source or a target are left out.

    Raises DocumentError if the file cannot be read, and RequestError if its languages are not known.
    """
    head = file.read(1024)
    file.seek(0)
    if name.lower().endswith(".tmx") or b"<tmx" in head:
        found = _of_memory(file, name, how)
    else:
        found = _of_document(file, name, how, head.decode("utf-8", errors="replace"))
    for entry in found:
        source, target = entry.source.strip(), entry.target.strip()
        if source and target:
            yield replace(entry, source=source, target=target)


def _of_document(file: BinaryIO, name: str, how: ReadAs, head: str) -> Iterator[Entry]:
    form = format_of(name, head)
    if form is None:
        raise RequestError(f"{name}: it is neither TMX nor a document of a known format: export it as TMX or as a .po")
    if how.source_language is None or how.target_language is None:
        raise RequestError(f"{name}: give --source-language and --target-language, which this format does not name")
    options = Options(source_language=how.source_language, target_language=how.target_language)
    if form.holds_languages:
        options = Options(source_language=how.source_language, target_languages=(how.target_language,))
    for one in segments(form, file, name, options, with_done=True):
        if one.state is State.DONE and one.target:
            context = one.context[:MOST_OF_CONTEXT]
            languages = (how.source_language, how.target_language)
            yield Entry(one.text, one.target, *languages, how.at, origin="editor", context=context, batch=name)


def _of_memory(file: BinaryIO, name: str, how: ReadAs) -> Iterator[Entry]:
    for unit in read_tmx(file, name):
        source = _source_of(unit, name, how)
        if source is None:
            continue
        for one in unit.variants:
            if one is source or (how.target_language and not _is(one, how.target_language)):
                continue
            languages = (
                how.source_language or _tag_of(source, unit, name),
                how.target_language or _tag_of(one, unit, name),
            )
            yield _entry(unit, source, one, languages, name, how)


def _source_of(unit: TmxUnit, name: str, how: ReadAs) -> TmxVariant | None:
    """Return the variant that is the source; None if the unit has none in the wanted language."""
    wanted = how.source_language or unit.source_language
    if wanted.casefold() == ALL_LANGUAGES:
        raise DocumentError(name, "the unit names no source language", "give --source-language", unit.line)
    exact = (one for one in unit.variants if one.language.casefold() == wanted.casefold())
    alike = (one for one in unit.variants if _is(one, wanted))
    return next(exact, None) or next(alike, None)


def _is(variant: TmxVariant, language: str) -> bool:
    """Whether a variant is in a language, whatever the region is. A language that is no tag is none."""
    try:
        return same_language(*map(_TAG.validate_python, (variant.language, language)))
    except ValidationError:
        return False


def _tag_of(variant: TmxVariant, unit: TmxUnit, name: str) -> str:
    try:
        return _TAG.validate_python(variant.language)
    except ValidationError:
        remedy = "give --source-language and --target-language, or correct xml:lang"
        raise DocumentError(name, f"{variant.language!r} is no language tag", remedy, unit.line) from None


def _entry(
    unit: TmxUnit, source: TmxVariant, target: TmxVariant, languages: tuple[str, str], name: str, how: ReadAs
) -> Entry:
    own = {key: value for key in KEPT if (value := unit.properties.get(PROPERTY + key))}
    entry = Entry(
        source.text, target.text, *languages, _time_of(target, how), "editor", batch=name, author=target.author
    )
    if own.get("origin") not in ORIGINS:
        return entry
    tokens = {key: int(value) for key in ("prompt_tokens", "completion_tokens", "row") if (value := _number(unit, key))}
    return replace(entry, **{"batch": "", **own, **tokens})  # type: ignore[arg-type]  # by name


def _number(unit: TmxUnit, key: str) -> str | None:
    value = unit.properties.get(PROPERTY + key, "")
    return value if value.isascii() and value.isdecimal() and len(value) < 16 else None


def _time_of(variant: TmxVariant, how: ReadAs) -> datetime:
    """Return when a variant was changed, but no time to come: a wrong clock must not win over all later editors."""
    try:
        return min(datetime.strptime(variant.changed, _DATE).replace(tzinfo=UTC), how.at)
    except ValueError:
        return how.at


def as_unit(entry: Entry) -> TmxUnit:
    """Return an entry as a unit of TMX, which `editors_entries` reads back as the same entry, but for parts of a second."""
    own = {PROPERTY + key: value for key in KEPT if (value := getattr(entry, key))}
    counts = {
        PROPERTY + key: str(value)
        for key in ("prompt_tokens", "completion_tokens", "row")
        if (value := getattr(entry, key))
    }
    return TmxUnit(
        (
            TmxVariant(entry.source_language, entry.source),
            TmxVariant(entry.target_language, entry.target, changed=f"{entry.at:{_DATE}}", author=entry.author),
        ),
        entry.source_language,
        properties={**own, **counts},
    )
