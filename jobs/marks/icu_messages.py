"""Cuts a message of ICU's MessageFormat into whole sentences, one for each form, and puts their translations together again.

`You have {n, plural, one {# file} other {# files}} left` becomes `You have # file left` and `You have # files left`: what
stands around an argument that chooses goes into its forms, since a language may need to change it too. A plural has the
categories of the target language, and the forms for exact numbers (`=0`) that the source has. All that the model must keep
is a mark: arguments, the sign `#`, and quoted syntax. Apostrophes are written so that none quotes by accident.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import regex

from jobs.checks.signs.icu import CHOOSING, Argument, IcuError, IcuMessage, parse
from jobs.marks.grammar import find_marks
from jobs.marks.keeping import check_kept
from jobs.marks.mark import Mark, apart
from jobs.marks.plural_keys import categories_of, source_form

MAX_SENTENCES: Final = 64
"""A message with more forms than this, over all its arguments, is left as it is."""

_OFFSET: Final = regex.compile(r"\{\s*+[^\s{},]++\s*+,\s*+plural\s*+,\s*+offset\s*+:\s*+(\d++)")
_SIGN: Final = regex.compile(r"'[{}#](?:[^']|'')*+(?:'|$)|''|(#)")
_OUTSIDE: Final = regex.compile(r"'[{}](?:[^']|'')*+(?:'|$)|''|('?#)")
"""What `_SIGN` matches, outside of plurals, where `#` is a character like others."""


class TooManyForms(ValueError):
    """A message has more sentences than MAX_SENTENCES, or forms that cannot be told apart in whole sentences."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence: the forms that lead to it (`n=one`), its text without doubled apostrophes, and its marks."""

    path: str
    text: str
    marks: tuple[Mark, ...]
    in_plural: bool


@dataclass(slots=True)
class _Choice:
    head: str
    forms: list[tuple[str, "_Choice | int"]] = field(default_factory=list)


class IcuSentences:
    """The sentences of a message in a target language.

    Args:
        text: The message.
        language: The target language; None for that of the source.
        source_language: The language of the message.

    Raises:
        IcuError: The text is not a valid message.
        TooManyForms: It has more than MAX_SENTENCES forms, or an offset over another plural.
    """

    def __init__(self, text: str, language: str | None, source_language: str | None = None) -> None:
        self._language, self._source_language = language, source_language
        self._doubles = "''" in text
        self.sentences: list[Sentence] = []
        self._root = self._expand(f"{text}'" if _ends_in_quotes(text) else text, (), in_plural=False)

    def _expand(self, text: str, path: tuple[str, ...], *, in_plural: bool) -> "_Choice | int":
        message = parse(text, in_plural=in_plural)
        choosing = [one for one in message.arguments if one.type in CHOOSING]
        if not choosing:
            if len(self.sentences) >= MAX_SENTENCES:
                raise TooManyForms
            self.sentences.append(self._sentence(text, ", ".join(path), in_plural=in_plural))
            return len(self.sentences) - 1
        first = choosing[0]
        offset = _OFFSET.match(text, first.start)
        head = f"{{{first.name}, {first.type},{f' offset:{offset[1]}' if offset else ''}"
        choice, is_plural = _Choice(head), first.type != "select"
        before, after = text[: first.start], text[first.end :]
        nests = any(one.type != "select" for one in [*choosing[1:], *_inner(first)])
        if is_plural and (nests or in_plural) and offset:
            raise TooManyForms
        if is_plural and not in_plural:
            if any("#" in text[one.start : one.end] for one in choosing[1:] if one.type == "select"):
                raise TooManyForms
            before = _quoted_signs(text, message, 0, first.start)
            after = _quoted_signs(text, message, first.end, len(text))
        for selector, start, end in self._forms(first):
            inner = text[start:end]
            if is_plural and (nests or in_plural):
                inner = _SIGN.sub(lambda one: f"{{{first.name}, number}}" if one[1] else one[0], inner)
            whole = before + inner + after
            node = self._expand(whole, (*path, f"{first.name}={selector}"), in_plural=in_plural or is_plural)
            choice.forms.append((selector, node))
        return choice

    def _forms(self, argument: Argument) -> Iterator[tuple[str, int, int]]:
        """Yield the forms that the target language needs: selector, and the place of the form that it is made from."""
        places = {selector: (form.texts[0][0], form.texts[-1][1]) for selector, form in argument.forms}
        if argument.type == "select" or self._language is None:
            for selector, (start, end) in places.items():
                yield selector, start, end
            return
        words = [one for one in places if not one.startswith("=")]
        for selector in (one for one in places if one.startswith("=")):
            yield selector, *places[selector]
        for category in categories_of(self._language, is_ordinal=argument.type == "selectordinal"):
            yield category, *places[source_form(category, words)]

    def _sentence(self, text: str, path: str, *, in_plural: bool) -> Sentence:
        """Return a sentence without doubled apostrophes. What is in quotes, and `#`, are marks."""
        parts: list[str] = []
        marks: list[Mark] = []
        position = length = 0
        for match in (_SIGN if in_plural else _OUTSIDE).finditer(text):
            words = text[position : match.start()]
            mark = "'" if match[0] == "''" else match[0]
            parts += [words, mark]
            length += len(words)
            if match[0] != "''" and (in_plural or not match[1]):
                marks.append(Mark(length, length + len(mark), mark))
            length += len(mark)
            position = match.end()
        made = "".join([*parts, text[position:]])
        doubled = [one.start() for one in (_SIGN if in_plural else _OUTSIDE).finditer(text) if one[0] == "''"]
        shifts = [
            (one, bisect_left(doubled, one.start), bisect_left(doubled, one.end))
            for one in parse(text, in_plural=in_plural).arguments
        ]
        arguments = [
            Mark(one.start - before, one.end - after, text[one.start : one.end]) for one, before, after in shifts
        ]
        found = find_marks(made, language=self._source_language)
        return Sentence(path, made, apart([*arguments, *marks, *found]), in_plural)

    def write(self, texts: Sequence[str]) -> str:
        """Return the message with these sentences, one for each of `sentences`. Raises Damaged if one lost a mark."""
        written = [self._escaped(text, like) for text, like in zip(texts, self.sentences, strict=True)]
        return _joined(self._root, written)

    def _escaped(self, text: str, like: Sentence) -> str:
        """Return a sentence as ICU reads it: braces of words in quotes, and apostrophes doubled where they would quote."""
        pattern = r"([{}#]+)" if like.in_plural else r"([{}]+)"
        parts: list[tuple[str, str]] = []
        for part in check_kept(text, like.marks):
            if isinstance(part, Mark):
                parts.append(("quoted" if part.text[0] == "'" else "mark", part.text))
            else:
                words = [one for one in regex.split(pattern, part) if one]
                parts += [("quoted", f"'{one}'") if regex.fullmatch(pattern, one) else ("words", one) for one in words]
        made, last = "", ""
        for (kind, one), (_, following) in pairwise([*parts, ("", "")]):
            written = self._apostrophes(one, following[:1]) if kind == "words" else one
            if last == kind == "quoted":
                made, written = made[:-1], written[1:]
            elif last == "quoted" and written.startswith("'") and not written.startswith("''"):
                written = f"'{written}"
            made, last = made + written, kind
        return made

    def _apostrophes(self, words: str, following: str) -> str:
        if self._doubles:
            return words.replace("'", "''")
        return f"{words}'" if words.endswith("'") and following and following in "{}#'" else words


def _inner(argument: Argument) -> Iterator[Argument]:
    for _, form in argument.forms:
        yield from (one for one in form.walk() if one.type in CHOOSING)


def _quoted_signs(text: str, message: IcuMessage, start: int, end: int) -> str:
    """Return a part of a message that goes into a plural, with quotes around the `#` of its words, which means a number there.

    Raises:
        TooManyForms: An apostrophe stands beside a `#`, so that quotes around it would mean something else.
    """
    parts, position = [], start
    for first, last in message.texts:
        words = text[first:last]
        if not start <= first <= last <= end or "#" not in words:
            continue
        if "'#" in words or "#'" in words:
            raise TooManyForms
        parts += [text[position:first], _OUTSIDE.sub(lambda one: "'#'" if one[1] else one[0], words)]
        position = last
    return "".join([*parts, text[position:end]])


def _ends_in_quotes(text: str) -> bool:
    """Whether a quote of a valid message is not closed at its end: a brace behind it would mean nothing. Raises IcuError."""
    parse(text)
    try:
        parse(f"{text}}}")
    except IcuError:
        return False
    return True


def _joined(node: "_Choice | int", written: Sequence[str]) -> str:
    if isinstance(node, int):
        return written[node]
    forms = " ".join(f"{selector} {{{_joined(one, written)}}}" for selector, one in node.forms)
    return f"{node.head} {forms}}}"
