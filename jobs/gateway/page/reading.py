"""A row as people read it: its texts, the Markdown of articles as HTML, and findings and placeholders at their places.

What a model wrote is hostile. Texts are escaped by the templates. Markdown becomes HTML that `nh3` then cleans: it keeps elements
of text alone, without ids, classes and styles, links to the web alone, and of images their words. So nothing of it runs, loads,
looks like a part of the page, or ends an element of the page.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final

import nh3
import orjson
import pyromark
from markupsafe import Markup

from jobs.kinds.kind import Kind, contract_of
from jobs.marks.grammar import find_marks
from jobs.operations.row_history import RowHistory

BRIEF: Final = 160
"""The list of rows shows this many characters of an output."""

MOST_MARKDOWN: Final = 400_000
MOST_MARKED: Final = 200_000
"""Longer texts are shown as they are: Markdown as its source, and others without marks."""

MOST_NESTED: Final = 100
"""Markdown whose elements stand in more others is shown as its source: the time to clean it grows with their square."""

MOST_PLACES: Final = 400
"""At most this many findings, and this many placeholders, are marked in one text."""

TOP_HEADING: Final = 4
"""The headings of an output stand below those of the page, so the first is of this level."""

_OPTIONS: Final = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH
_BLOCKS: Final = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "table", "th", "td")
_TAGS: Final = frozenset(
    [
        *_BLOCKS,
        "br",
        "hr",
        "pre",
        "code",
        "em",
        "strong",
        "b",
        "i",
        "del",
        "sub",
        "sup",
        "a",
        "img",
        "thead",
        "tbody",
        "tr",
    ]
)
_HEADING: Final = re.compile(r"<(/?)h([1-6])(?=[ >])")
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
_VOID: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_WEB: Final = re.compile(r"(?:https?://|mailto:)[^\s]+", re.IGNORECASE)
_TEXTS: Final = ("text", "title", "body_markdown", "label", "summary", "meta_description")
"""The fields of an output whose beginning the list of rows shows, the first of them that there is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text. `findings` are the numbers of what was found there; `is_kept` marks what a translation keeps."""

    text: str
    findings: tuple[int, ...] = ()
    is_kept: bool = False
    begins: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an output: its pieces if it is text, the HTML of its Markdown, or its value as it is."""

    name: str
    pieces: Sequence[Piece] | None = None
    html: Markup | None = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a row: the fields of its output, or of the one that checks refused, and what was found there."""

    fields: Sequence[Field]
    findings: Sequence[Mapping[str, Any]]
    is_rejected: bool = False
    source: Field | None = None
    source_language: str = ""
    target_language: str = ""

    @classmethod
    def of(cls, history: RowHistory, kinds: Mapping[str, Kind]) -> "Reading":
        """Read the outcome of a row or, while there is none, that of its last attempt."""
        last = history.outcome or (history.attempts[-1] if history.attempts else {})
        rejected = last.get("rejected")
        output = last.get("output") if rejected is None else rejected
        findings = [one for one in last.get("findings") or () if isinstance(one, Mapping)]
        if not isinstance(output, Mapping):
            shown = [] if output is None else [Field("output", value=output)]
            return cls(shown, findings, rejected is not None)
        name = str((history.request or {}).get("kind") or last.get("kind") or "")
        texts = contract_of(kinds[name]).texts if name in kinds else {}
        is_translation = isinstance(output.get("source"), str) and isinstance(output.get("text"), str)
        target = _language(output, "target_language")
        skipped = {"source", "source_language", "target_language", "segments"} if is_translation else set()
        fields = [
            _field(field, value, str(texts.get(field, "")), findings, target if is_translation else None)
            for field, value in output.items()
            if field not in skipped
        ]
        if not is_translation:
            return cls(fields, findings, rejected is not None)
        language = _language(output, "source_language")
        source = Field("source", pieces=pieces(output["source"], (), kept_of(output["source"], language)))
        return cls(fields, findings, rejected is not None, source, language, target)


def short(row: Mapping[str, Any]) -> str:
    """Return the beginning of a row's output, or of its error, on one line."""
    error, output = row.get("error"), row.get("output")
    if isinstance(error, Mapping):
        text = str(error.get("message", ""))
    elif isinstance(output, Mapping):
        found = next((output[name] for name in _TEXTS if isinstance(output.get(name), str)), None)
        text = found if found is not None else orjson.dumps(output).decode()
    else:
        text = "" if output is None else str(output)
    line = " ".join(text[: 4 * BRIEF].split())
    return line if len(line) <= BRIEF else line[: BRIEF - 1] + "…"


def as_html(markdown: str) -> Markup | None:
    """Return Markdown as HTML in which nothing runs or loads, and whose headings follow those of the page.

    Returns None for Markdown that is too long or too deep.
    """
    if len(markdown) > MOST_MARKDOWN:
        return None
    written = pyromark.html(markdown, options=_OPTIONS)
    if _depth(written) > MOST_NESTED:
        return None
    made = nh3.clean(
        written,
        tags=set(_TAGS),
        attributes={"a": {"href"}, "img": {"alt"}, "ol": {"start"}},
        attribute_filter=_kept_attribute,
        clean_content_tags={"script", "style", "iframe", "object", "template", "noscript", "title", "svg", "math"},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={tag: {"dir": "auto"} for tag in _BLOCKS},
    )
    return Markup(_below_the_page(made.replace("<img>", "")))  # noqa: S704 - nh3 has cleaned it


def pieces(text: str, found: Sequence[tuple[int, int, int]], kept: Sequence[tuple[int, int]] = ()) -> list[Piece]:
    """Cut a text where something begins or ends. `found` has the start, end and number of findings, `kept` other spans."""
    size = len(text)
    spans = [(start, min(end, size), number) for start, end, number in found if 0 <= start < min(end, size)]
    cuts = sorted({0, size, *(at for one in (*spans, *kept) for at in one[:2] if at <= size)})
    made = []
    for start, end in pairwise(cuts):
        numbers = tuple(number for one, other, number in spans if one <= start and end <= other)
        begins = tuple(number for one, _, number in spans if one == start)
        is_kept = any(one <= start and end <= other for one, other in kept)
        made.append(Piece(text[start:end], numbers, is_kept, begins))
    return made


def kept_of(text: str, language: str = "") -> list[tuple[int, int]]:
    """Return where a text has what a translation keeps, such as placeholders and tags."""
    if len(text) > MOST_MARKED:
        return []
    return [(mark.start, mark.end) for mark in find_marks(text, language=language or None)[:MOST_PLACES]]


def _field(name: str, value: Any, form: str, findings: Sequence[Mapping[str, Any]], language: str | None) -> Field:
    if not isinstance(value, str):
        return Field(name, value=value)
    found = list(islice(_places(name, findings), MOST_PLACES))
    kept = kept_of(value, language) if language is not None and name == "text" else []
    html = as_html(value) if form == "markdown" else None
    return Field(name, pieces=pieces(value, found, kept), html=html)


def _places(name: str, findings: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, int]]:
    """Yield where findings stand in a field, with their numbers from 1."""
    for number, one in enumerate(findings, 1):
        where = one.get("where")
        if isinstance(where, Mapping) and where.get("field") == name:
            start, end = where.get("start"), where.get("end")
            if isinstance(start, int) and isinstance(end, int):
                yield start, end, number


def _depth(html: str) -> int:
    """Return at least how many elements stand in each other at most. One that is never closed counts for all that follows."""
    depth = most = 0
    for match in _TAG.finditer(html):
        if match[2].lower() not in _VOID:
            depth = max(0, depth - 1) if match[1] else depth + 1
            most = max(most, depth)
    return most


def _language(output: Mapping[str, Any], field: str) -> str:
    """Return a language that an output names, if it can be one."""
    given = output.get(field)
    return given if isinstance(given, str) and re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,6}", given) else ""


def _kept_attribute(tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute, or None if it is removed: a link that does not lead to the web."""
    return value if name != "href" or _WEB.fullmatch(value) else None


def _below_the_page(html: str) -> str:
    """Give headings the levels below those of the page, and skip none."""
    open_levels: list[int] = []

    def level(match: re.Match[str]) -> str:
        written = int(match[2])
        if not match[1]:
            while open_levels and open_levels[-1] >= written:
                open_levels.pop()
            open_levels.append(written)
        return f"<{match[1]}h{min(6, TOP_HEADING + max(0, len(open_levels) - 1))}"

    return _HEADING.sub(level, html)
