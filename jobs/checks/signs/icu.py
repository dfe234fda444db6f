"""ICU messages: texts with arguments that choose between forms, such as `{n, plural, one {# file} other {# files}}`.

The grammar is that of ICU's MessageFormat (https://unicode-org.github.io/icu/userguide/format_parse/messages/). An apostrophe
quotes only if a brace follows it (within a plural: also `#`), and two apostrophes stand for one. A text counts as an ICU message
only if it has an argument that chooses between forms; otherwise its braces are plain placeholders.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import regex

CHOOSING: Final = ("plural", "select", "selectordinal")
MAX_DEPTH: Final = 20
"""Arguments may be nested this deep."""

_CHOOSES: Final = regex.compile(r"\{\s{0,9}[\w.-]{1,60}+\s{0,9},\s{0,9}(?:plural|select|selectordinal)\s{0,9},")
_SPACE: Final = regex.compile(r"\s*+")
_NAME: Final = regex.compile(r"[^\s{},'#=:]++")
_SELECTOR: Final = regex.compile(r"=\d++|[^\s{},'#=:]++")
_OFFSET: Final = regex.compile(r"offset\s*+:\s*+\d++\s*+")
_TEXT: Final = regex.compile(r"[^{}'#]++")


class IcuError(ValueError):
    """A text is not a valid ICU message. `position` is where reading it stopped."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a message. If it chooses between forms, `forms` are its selectors with their messages."""

    name: str
    type: str
    start: int
    end: int
    forms: Sequence[tuple[str, "IcuMessage"]] = ()

    @property
    def selectors(self) -> list[str]:
        """The words and numbers by which the argument chooses, such as `one`, `=0` or `other`."""
        return [selector for selector, _ in self.forms]


@dataclass(slots=True)
class IcuMessage:
    """A message: its arguments in their order, and the places of its text."""

    arguments: list[Argument] = field(default_factory=list)
    texts: list[tuple[int, int]] = field(default_factory=list)

    def walk(self) -> Iterator[Argument]:
        """Yield all arguments, also those within forms."""
        for argument in self.arguments:
            yield argument
            for _, message in argument.forms:
                yield from message.walk()


def is_icu(text: str) -> bool:
    """Whether a text is meant as an ICU message, since it has an argument that chooses between forms."""
    return "{" in text and _CHOOSES.search(text) is not None


@lru_cache(maxsize=8)
def parse(text: str, *, in_plural: bool = False) -> IcuMessage:
    """Return the parts of an ICU message. Within a plural an apostrophe before `#` quotes too.

    Raises:
        IcuError: The text is not a valid message.
    """
    message, position = _message(text, 0, 0, in_plural=in_plural)
    if position < len(text):
        raise IcuError("a brace is closed that was not opened", position)
    return message


def _message(text: str, position: int, depth: int, *, in_plural: bool) -> tuple[IcuMessage, int]:
    if depth > MAX_DEPTH:
        raise IcuError(f"arguments are nested more than {MAX_DEPTH} deep", position)
    message, start = IcuMessage(), position
    while position < len(text) and text[position] != "}":
        sign = text[position]
        if sign == "'":
            position = _after_apostrophe(text, position, "{}#" if in_plural else "{}")
        elif sign == "{":
            message.texts.append((start, position))
            argument, position = _argument(text, position, depth)
            message.arguments.append(argument)
            start = position
        elif sign == "#":
            position += 1
        else:
            position = _end(_TEXT, text, position)
    message.texts.append((start, position))
    return message, position


def _after_apostrophe(text: str, position: int, quotable: str) -> int:
    following = text[position + 1 : position + 2]
    if following == "'":
        return position + 2
    if not following or following not in quotable:
        return position + 1
    closing = position + 1
    while (closing := text.find("'", closing)) >= 0 and text[closing + 1 : closing + 2] == "'":
        closing += 2
    return closing + 1 if closing >= 0 else len(text)


def _argument(text: str, opening: int, depth: int) -> tuple[Argument, int]:
    position = _end(_SPACE, text, opening + 1)
    name, position = _taken(_NAME, text, position, "an argument has no name")
    position = _end(_SPACE, text, position)
    if text[position : position + 1] == "}":
        return Argument(name, "", opening, position + 1), position + 1
    if text[position : position + 1] != ",":
        raise IcuError(f"the argument {name!r} is not closed", opening)
    kind, position = _taken(_NAME, text, _end(_SPACE, text, position + 1), f"the argument {name!r} has no type")
    position = _end(_SPACE, text, position)
    if kind not in CHOOSING:
        position = _style_end(text, position)
        if position >= len(text):
            raise IcuError(f"the argument {name!r} is not closed", opening)
        return Argument(name, kind, opening, position + 1), position + 1
    if text[position : position + 1] != ",":
        raise IcuError(f"the {kind} of {name!r} has no forms", opening)
    forms, position = _forms(text, _end(_SPACE, text, position + 1), depth, opening, is_plural=kind != "select")
    if "other" not in dict(forms):
        raise IcuError(f"the {kind} of {name!r} has no form 'other'", opening)
    return Argument(name, kind, opening, position + 1, tuple(forms)), position + 1


def _forms(
    text: str, position: int, depth: int, opening: int, *, is_plural: bool
) -> tuple[list[tuple[str, IcuMessage]], int]:
    forms: list[tuple[str, IcuMessage]] = []
    seen: set[str] = set()
    if is_plural and (offset := _OFFSET.match(text, position)) is not None:
        position = offset.end()
    while position < len(text) and text[position] != "}":
        selector, position = _taken(_SELECTOR, text, position, "a form has no selector")
        if selector in seen:
            raise IcuError(f"the form {selector!r} stands twice", position)
        seen.add(selector)
        position = _end(_SPACE, text, position)
        if text[position : position + 1] != "{":
            raise IcuError(f"the form {selector!r} has no text in braces", position)
        message, position = _message(text, position + 1, depth + 1, in_plural=is_plural)
        if position >= len(text):
            raise IcuError(f"the form {selector!r} is not closed", opening)
        forms.append((selector, message))
        position = _end(_SPACE, text, position + 1)
    if position >= len(text):
        raise IcuError("an argument is not closed", opening)
    return forms, position


def _style_end(text: str, position: int) -> int:
    """Return the position of the brace that closes an argument which does not choose."""
    open_braces = 0
    while position < len(text):
        if text[position] == "{":
            open_braces += 1
        elif text[position] == "}":
            if not open_braces:
                return position
            open_braces -= 1
        position += 1
    return position


def _end(pattern: regex.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _taken(pattern: regex.Pattern[str], text: str, position: int, otherwise: str) -> tuple[str, int]:
    if (match := pattern.match(text, position)) is None:
        raise IcuError(otherwise, position)
    return match[0], match.end()
