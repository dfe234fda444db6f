"""Fits lines to the width of a terminal. Widths are in columns of the terminal: a Chinese character takes two of them.

A line is broken between words. A word that is wider than the terminal stays whole, so that an id, a path or a link can be copied:
the terminal itself continues it on its next line. Chinese, Japanese and Korean texts have few blanks, so they may also be broken
between characters.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_KEPT: Final = "\N{NO-BREAK SPACE}"
_PIECES: Final = re.compile(rf"[^\S{_KEPT}]+|[!-~]+|[\S{_KEPT}]")
_JOINER: Final = "\u200d"
"""The zero width joiner, which joins several signs into one, as in the emoji of a family."""

_NOT_FIRST: Final = frozenset("、。，．：；！？）」』】》〉〕・ー…々")  # noqa: RUF001 - they are meant
"""Signs that never begin a line in Chinese and Japanese texts."""


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def kept_together(text: str) -> str:
    """Return the text so that `fitted` never breaks it. It is for a number with its unit, or a command that is to be copied."""
    return text.replace(" ", _KEPT)


def fitted(line: str, width: int, indent: str = "") -> list[str]:
    """Break a line into parts no wider than `width`, except for a word that is wider by itself.

    The first part is indented by `indent` and the line's own indent, and the other parts by two columns more.
    """
    line = line.expandtabs()
    text = line.strip(" \n")
    indent += line[: len(line) - len(line.lstrip())]
    first, rest = max(width - width_of(indent), 1), max(width - width_of(indent) - 2, 1)
    if width_of(text) <= first:
        return [f"{indent}{text}".replace(_KEPT, " ")] if text else [""]
    parts, so_far, taken = list[str](), "", 0
    for blank, unit in _units(text):
        size, gap = width_of(unit), width_of(blank)
        if so_far and taken + gap + size > (rest if parts else first):
            parts.append(so_far)
            so_far, taken = unit, size
        else:
            so_far, taken = f"{so_far}{blank}{unit}", taken + gap + size
    parts.append(so_far)
    return [f"{indent}{'  ' * (number > 0)}{part}".replace(_KEPT, " ") for number, part in enumerate(parts)]


def _units(text: str) -> Iterator[tuple[str, str]]:
    """Yield each unit that no break may divide, after the blanks before it. A unit is a word, or one wide character of a word."""
    blank, unit = "", list[str]()
    was_wide = False
    for match in _PIECES.finditer(text):
        sign = match[0]
        size = 1 if sign.isascii() else width_of(sign)
        is_joined = sign in _NOT_FIRST or size == 0 or (bool(unit) and unit[-1] == _JOINER)
        is_blank = sign != _KEPT and sign.isspace()
        if is_blank or ((size > 1 or was_wide) and not is_joined):
            if unit:
                yield blank, "".join(unit)
                blank, unit = "", []
            if is_blank:
                blank, was_wide = sign, False
                continue
        unit.append(sign)
        was_wide = size > 1 or (size == 0 and was_wide)
    if unit:
        yield blank, "".join(unit)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Return a text with blanks after it, or before it if `right`, so that it takes `width` columns."""
    blanks = " " * max(0, width - width_of(text))
    return f"{blanks}{text}" if right else f"{text}{blanks}"


def joined(parts: Sequence[str], width: int, indent: str = "  ", between: str = "  ") -> Iterator[str]:
    """Yield lines of whole parts: a line is broken between two parts, and within a part only if it is too wide by itself."""
    line = ""
    for part in parts:
        if line and width_of(line) + width_of(between) + width_of(part) > width - width_of(indent):
            yield from fitted(line, width, indent)
            line = part
        else:
            line = f"{line}{between}{part}" if line else part
    if line:
        yield from fitted(line, width, indent)
