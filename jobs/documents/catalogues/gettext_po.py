"""Reads catalogues of gettext (`.po`, `.pot`) line by line, and replaces nothing but the strings of `msgstr`.

A message whose `msgstr` is empty is new; one with the flag `fuzzy` has a translation that a person has to look at, and keeps the
flag. Where a target language is given, the header gets its language and plural forms if it has none or those of another
language, whose translations then do not count. A plural message has a segment for each form of the target language, which is
translated from `msgid` if it is for the number 1 alone, else from `msgid_plural`.

The format is that of https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import regex

from jobs.documents.catalogues.gettext_plurals import Plurals, plurals_of_header, plurals_of_language
from jobs.documents.catalogues.gettext_strings import QUOTED, escaped, quoted_lines, unescaped
from jobs.documents.document import Piece, Segment, Slot, State
from jobs.documents.source import Source
from jobs.marks.damage import Damaged
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept
from jobs.writing.words.words import primary

_KEYWORD: Final = regex.compile(r"[ \t]*+(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d{1,2})\])?|domain)(?=[ \t\"])")
_LANGUAGE: Final = regex.compile(r"^Language:[ \t]*(.*)$", regex.MULTILINE)
_PLURALS: Final = regex.compile(r"^Plural-Forms:.*$", regex.MULTILINE)
_CHARSET: Final = regex.compile(r"(?<=^Content-Type:.{0,100}charset=)CHARSET$", regex.MULTILINE)


@dataclass(slots=True)
class _Entry:
    """A message as it is read. `strings` are its strings by their keywords, `raw` the lines of its `msgstr`."""

    strings: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    raw: str = ""
    line: int = 0
    last: str = ""

    @property
    def is_header(self) -> bool:
        return self.strings.get("msgid") == "" and "msgctxt" not in self.strings


class GettextFormat:
    """The format `po`."""

    name = "po"
    suffixes = (".po", ".pot")
    holds_languages = False

    def detect(self, head: str) -> bool:
        return regex.search(r'^msgid[ \t]+"', head, regex.MULTILINE) is not None

    def pieces(self, source: Source) -> Iterator[Piece]:
        yield from _Reader(source).pieces()


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._target = source.options.target_language
        self._plurals: Plurals | None = None
        self._is_of_other = False
        self._count = 0

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of the catalogue: all lines, and a slot for each `msgstr`."""
        entry, number = _Entry(), 0
        for number, line in self._source.lines():
            keyword = _KEYWORD.match(line)
            name = keyword[1] if keyword else ""
            if entry.raw and (not name.startswith("msgstr") if name else QUOTED.match(line) is None):
                yield self._slot(entry)
                entry = _Entry()
            if keyword is None and QUOTED.match(line) is None:
                self._comment(entry, line, number)
                yield line
                continue
            if keyword is not None:
                self._begin(entry, name, number)
            self._take(entry, line, keyword.end() if keyword else 0, number)
            if entry.last.startswith("msgstr"):
                entry.raw += line
            else:
                yield line
        if entry.raw:
            yield self._slot(entry)
        elif "msgid" in entry.strings:
            raise self._source.error("the last message has no msgstr", "restore the end of the file", number)

    def _comment(self, entry: _Entry, line: str, number: int) -> None:
        """Take in a line that holds no string: a comment or a blank line."""
        text = line.strip()
        if text.startswith("#,"):
            entry.flags.update(flag.strip() for flag in text[2:].split(","))
        elif text.startswith(("#.", "# ")):
            entry.comments.append(text[2:].strip())
        elif text and not text.startswith("#"):
            shown = text[:40]
            raise self._source.error(
                f"{shown!r} is neither a comment nor a keyword with a string in quotes", "mend the line", number
            )
        elif "msgid" in entry.strings:
            raise self._source.error("a message has no msgstr before this line", "add its msgstr", number)

    def _begin(self, entry: _Entry, name: str, number: int) -> None:
        order = {"msgctxt": (), "msgid": (), "msgid_plural": ("msgid",)}.get(name, ("msgid",))
        if name != "domain" and (name in entry.strings or not all(one in entry.strings for one in order)):
            what = f"{name} stands twice" if name in entry.strings else f"{name} stands before msgid"
            raise self._source.error(what, "mend the message", number)
        if name.startswith(("msgid", "msgctxt")) and any(one.startswith("msgstr") for one in entry.strings):
            raise self._source.error(f"{name} stands behind msgstr", "mend the message", number)
        if name.startswith("msgstr") and ("[" in name) != ("msgid_plural" in entry.strings):
            what = "a plural message has msgstr without a number" if "[" not in name else "msgstr has a number"
            raise self._source.error(what, "mend the message", number)
        entry.last = name
        entry.line = entry.line or number

    def _take(self, entry: _Entry, line: str, start: int, number: int) -> None:
        """Take in the string of a line."""
        match = QUOTED.match(line, start)
        if match is None or line[match.end() :].strip():
            raise self._source.error("a string is not closed by a quote", "close it", number)
        if not entry.last:
            raise self._source.error("a string stands without a keyword", "add msgid or msgstr", number)
        entry.strings[entry.last] = entry.strings.get(entry.last, "") + unescaped(match[1])

    def _slot(self, entry: _Entry) -> Slot:
        if entry.is_header:
            return self._header(entry)
        self._count += 1
        if "msgid_plural" in entry.strings:
            return self._plural(entry)
        segment = self._segment(entry, str(self._count), entry.strings["msgid"], entry.strings["msgstr"], "message")
        end = _line_end(entry.raw)

        def write(texts: Sequence[str | None]) -> str:
            (text,) = texts
            if text is None or (text == segment.target and segment.state is not State.NEW):
                return entry.raw
            return _ended(quoted_lines(_fitted(text, segment), "msgstr", end), entry.raw)

        return Slot(entry.raw, (segment,) if segment.text else (), write, entry.line)

    def _segment(self, entry: _Entry, name: str, text: str, target: str, kind: str, more: str = "") -> Segment:
        target = "" if self._is_of_other else target
        state = State.NEW if not target else State.FUZZY if "fuzzy" in entry.flags else State.DONE
        context = [entry.strings.get("msgctxt", ""), *entry.comments, more]
        marks = find_marks(text, language=self._source.options.source_language)
        return Segment(name, text, kind, marks, "; ".join(filter(None, context)), target, state)

    def _plural(self, entry: _Entry) -> Slot:
        plurals = self._plurals or plurals_of_language(self._target)
        one, many, end = entry.strings["msgid"], entry.strings["msgid_plural"], _line_end(entry.raw)
        segments = tuple(
            self._segment(
                entry,
                f"{self._count}[{n}]",
                one if form.is_one else many,
                entry.strings.get(f"msgstr[{n}]", ""),
                f"plural {form.category}",
                f"for the numbers {', '.join(map(str, form.examples))}" if form.examples else "",
            )
            for n, form in enumerate(plurals.forms)
        )

        def write(texts: Sequence[str | None]) -> str:
            if all(text is None or text == segment.target for text, segment in zip(texts, segments, strict=True)):
                return entry.raw
            lines = [
                quoted_lines(segment.target if text is None else _fitted(text, segment), f"msgstr[{n}]", end)
                for n, (text, segment) in enumerate(zip(texts, segments, strict=True))
            ]
            return _ended("".join(lines), entry.raw)

        return Slot(entry.raw, segments, write, entry.line)

    def _header(self, entry: _Entry) -> Slot:
        """Return the slot of the header, and note the plural forms of the catalogue."""
        text = entry.strings.get("msgstr", "")
        found = _LANGUAGE.search(text)
        language = found[1].strip() if found else ""
        self._is_of_other = bool(
            self._target and language and primary(language.replace("_", "-")) != primary(self._target)
        )
        declared = None if self._is_of_other else plurals_of_header(text, self._target or language or None)
        self._plurals = declared or plurals_of_language(self._target or language or None)
        new = text
        if self._target:
            target = self._target.replace("-", "_")
            if found is None:
                new = f"{new}{'' if new.endswith(chr(10)) or not new else chr(10)}Language: {target}\n"
            elif not language or self._is_of_other:
                new = _LANGUAGE.sub(f"Language: {target}", new, count=1)
            if declared is None:
                forms = f"Plural-Forms: {self._plurals.header}"
                new = _PLURALS.sub(forms, new, count=1) if _PLURALS.search(new) else f"{new}{forms}\n"
            new = _CHARSET.sub("UTF-8", new)

        def write(texts: Sequence[str | None]) -> str:
            return entry.raw if new == text else _ended(_header_lines(new, _line_end(entry.raw)), entry.raw)

        return Slot(entry.raw, (), write, entry.line)


def _header_lines(text: str, end: str) -> str:
    """Return the header, whose fields are not broken over lines."""
    return f'msgstr ""{end}' + "".join(f'"{escaped(line)}"{end}' for line in text.splitlines(keepends=True))


def _line_end(raw: str) -> str:
    return "\r\n" if "\r\n" in raw else "\n"


def _ended(made: str, raw: str) -> str:
    """Return lines with a line end at the last one only if the source has one there."""
    return made if raw.endswith(("\n", "\r")) else made.rstrip("\r\n")


def _fitted(text: str, segment: Segment) -> str:
    """Return a translation that begins and ends with a line break if its source does, as `msgfmt -c` wants it.

    Raises:
        Damaged: The translation is empty, or lost a mark.
    """
    if not text.strip():
        raise Damaged("the translation is empty")
    check_kept(text, segment.marks)
    source, body = segment.text, text.strip("\n")
    return "\n" * source.startswith("\n") + body + "\n" * source.endswith("\n")
