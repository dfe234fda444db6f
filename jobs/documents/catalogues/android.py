r"""Reads `strings.xml` of Android: strings, arrays and plurals, whose forms follow the target language.

Strings with `translatable="false"` stay as they are. Elements with a prefix (`xliff:g`) are marks with what they hold, and the
tags of styles (`<b>`) are marks around words. The escapes of Android (`\'`, `\n`, `\@`) are read and written; quotes around
blanks that count are read. The format is that of https://developer.android.com/guide/topics/resources/string-resource.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import regex

from jobs.documents.document import Piece, Segment, Slot
from jobs.documents.exchange.xml_content import end_of, raw_of, read_content, tokens_of, write_content
from jobs.documents.exchange.xml_tokens import Token
from jobs.documents.source import Source
from jobs.marks.building import Builder, has_words
from jobs.marks.damage import Damaged
from jobs.marks.mark import Mark
from jobs.marks.plural_keys import categories_of, numbers_of, source_form

_ESCAPE: Final = regex.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))|(\")|([ \t\r\n]++)", regex.DOTALL)
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r"}
_LONG: Final = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class AndroidFormat:
    """The format `android`."""

    name = "android"
    suffixes = (".xml",)
    holds_languages = False

    def detect(self, head: str) -> bool:
        return (
            regex.match(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,800}?-->\s*)*<resources\b", head, regex.DOTALL) is not None
        )

    def pieces(self, source: Source) -> Iterator[Piece]:
        tokens = tokens_of(source)
        first = next((one for one in tokens if one.sort == "opens"), None)
        if first is None or first.name != "resources":
            raise source.error(
                "its first element is not resources", "give a file of Android's strings", first.line if first else 1
            )
        comment, n = "", 0
        while n < len(tokens):
            token = tokens[n]
            if token.sort == "comment":
                comment = token.raw[4:-3].strip()
            if token.sort == "opens" and token.name in ("string", "string-array", "plurals"):
                end = end_of(tokens, n)
                yield from _resource(source, tokens[n : end + 1], comment)
                comment, n = "", end + 1
                continue
            yield token.raw
            n += 1


def _resource(source: Source, tokens: Sequence[Token], comment: str) -> Iterator[Piece]:
    first = tokens[0]
    name = first.attributes.get("name", "")
    if first.attributes.get("translatable") == "false" or len(tokens) < 3:
        yield raw_of(tokens)
    elif first.name == "string":
        yield first.raw
        yield _text(source, tokens[1:-1], name, comment, first.line)
        yield tokens[-1].raw
    elif first.name == "plurals":
        yield from _plurals(source, tokens, name, comment)
    else:
        position = 0
        for index, (start, end) in enumerate(_items(tokens)):
            yield raw_of(tokens[position : start + 1])
            yield _text(source, tokens[start + 1 : end], f"{name}[{index}]", comment, tokens[start].line)
            position = end
        yield raw_of(tokens[position:])


def _items(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """Return the first and last token of each item of an array or of plurals."""
    starts = [n for n, one in enumerate(tokens) if one.sort == "opens" and one.name == "item"]
    return [(n, end_of(tokens, n)) for n in starts]


def _content(source: Source, tokens: Sequence[Token]) -> tuple[Builder, tuple[Mark, ...]]:
    """Return the text of a string, without the escapes of Android, and its marks."""
    raw, built, quoted = read_content(tokens, None), Builder(), False
    position = 0
    for mark in [*raw.marks, None]:
        words = raw.text[position : mark.start if mark else len(raw.text)]
        made = []
        at = 0
        for match in _ESCAPE.finditer(words):
            made.append(words[at : match.start()])
            if match[1] or match[2]:
                made.append(chr(int(match[1], 16)) if match[1] else _SHORT.get(match[2], match[2]))
            elif match[3]:
                quoted = not quoted
            else:
                made.append(match[4] if quoted else " ")
            at = match.end()
        built.add("".join([*made, words[at:]]))
        if mark is not None:
            built.keep(mark.text, mark.role)
            position = mark.end
    return built, built.all_marks(source.options.source_language, has_tags=True)


def _text(source: Source, tokens: Sequence[Token], name: str, comment: str, line: int) -> Piece:
    """Return the slot of a string, or its source if it has no words or refers to another string."""
    raw = raw_of(tokens)
    built, marks = _content(source, tokens)
    if not has_words(built.text, marks) or regex.match(r"\s*[@?][\w:]+/", raw):
        return raw
    segment = Segment(name, built.text, "message", marks, comment)
    is_cdata = len(tokens) == 1 and tokens[0].sort == "cdata"

    def write(texts: Sequence[str | None]) -> str:
        (text,) = texts
        if text is None or text == built.text:
            return raw
        return _written(text, built, marks, is_cdata=is_cdata)

    return Slot(raw, (segment,), write, line)


def _plurals(source: Source, tokens: Sequence[Token], name: str, comment: str) -> Iterator[Piece]:
    """Yield a plural message: its tags, and one slot for all its forms."""
    items = _items(tokens)
    present = {tokens[start].attributes.get("quantity", "other"): (start, end) for start, end in items}
    if not items:
        yield raw_of(tokens)
        return
    first, last = items[0][0], items[-1][1]
    language = source.options.target_language
    wanted = categories_of(language) if language else tuple(present)
    forms, segments = {}, []
    for category in wanted:
        start, end = present[source_form(category, present)]
        forms[category] = (start, _content(source, tokens[start + 1 : end]))
        built, marks = forms[category][1]
        numbers = ", ".join(map(str, numbers_of(category, language)))
        context = "; ".join(filter(None, (comment, f"for the numbers {numbers}")))
        segments.append(Segment(f"{name}[{category}]", built.text, f"plural {category}", marks, context))
    raw = raw_of(tokens[first : last + 1])
    between = raw_of(tokens[items[0][1] + 1 : items[1][0]]) if len(items) > 1 else "\n        "

    def write(texts: Sequence[str | None]) -> str:
        if all(
            text is None or (category in present and text == segment.text)
            for category, text, segment in zip(wanted, texts, segments, strict=True)
        ):
            return raw
        lines = []
        for category, text in zip(wanted, texts, strict=True):
            start, (built, marks) = forms[category]
            tag = regex.sub(r"(quantity\s*=\s*[\"'])\w+", rf"\g<1>{category}", tokens[start].raw)
            body = raw_of(tokens[start + 1 : end_of(tokens, start)]) if text is None else _written(text, built, marks)
            lines.append(f"{tag}{body}</item>")
        return between.join(lines)

    yield raw_of(tokens[:first])
    yield Slot(raw, tuple(segments), write, tokens[first].line)
    yield raw_of(tokens[last + 1 :])


def _written(text: str, built: Builder, marks: Sequence[Mark], *, is_cdata: bool = False) -> str:
    """Return a translation as the content of a string.

    Raises:
        Damaged: The translation is empty, or lost a mark.
    """
    if not text.strip():
        raise Damaged("the translation is empty")
    made = write_content(text, marks, frozenset(built.marks), _escaped, is_cdata=is_cdata)
    if made[:1] in ("@", "?"):
        made = f"\\{made}"
    if made[:1] == " ":
        made = f"\\u0020{made[1:]}"
    return f"{made[:-1]}\\u0020" if made[-1:] == " " else made


def _escaped(words: str) -> str:
    made = "".join(_LONG.get(sign, sign) for sign in words)
    return regex.sub(r"(?<= ) ", r"\\u0020", made)
