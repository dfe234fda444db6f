"""Strings of gettext catalogues: reads what stands between quotes, and writes a text as one or more lines in quotes."""

from typing import Final

import regex

WIDTH: Final = 77
"""A line of a catalogue is at most so many characters wide, unless a word is longer. This is the width of the GNU tools."""

QUOTED: Final = regex.compile(r'[ \t]*+"((?:[^"\\\r\n]|\\.)*+)"[ \t]*+')
_ESCAPE: Final = regex.compile(
    r"\\(?:([abfnrtv\"\\?'])|([0-7]{1,3}(?:\\[0-7]{1,3})*+|x[0-9A-Fa-f]{1,2}(?:\\x[0-9A-Fa-f]{1,2})*+)|(.))"
)
_SHORT: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LONG: Final = {value: f"\\{key}" for key, value in _SHORT.items()} | {'"': '\\"', "\\": "\\\\"}
_WORD: Final = regex.compile(r"(?:\\.|[^\s\\])*+(?:\s|$)++|(?:\\.|[^\s\\])++")


def unescaped(quoted: str) -> str:
    """Return what the inside of a pair of quotes means."""
    return _ESCAPE.sub(_value, quoted) if "\\" in quoted else quoted


def _value(match: regex.Match[str]) -> str:
    if match[1]:
        return _SHORT.get(match[1], match[1])
    if match[2]:
        parts = match[2].split("\\")
        return _decoded(bytes(int(one[1:], 16) if one[0] == "x" else int(one, 8) & 255 for one in parts))
    return str(match[0])


def _decoded(data: bytes) -> str:
    """Return the characters of bytes that are escaped one by one."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def escaped(text: str) -> str:
    """Return a text as it stands between quotes."""
    return "".join(_LONG.get(sign, sign) for sign in text)


def quoted_lines(text: str, keyword: str, end: str) -> str:
    """Return a text as the lines of a keyword, each with this line end. A long text, or one of several lines, starts with an
    empty string, as the GNU tools write it.
    """
    parts = [escaped(part) for part in regex.split(r"(?<=\n)", text) if part]
    if len(parts) <= 1 and len("".join(parts)) + len(keyword) <= WIDTH:
        return f'{keyword} "{"".join(parts)}"{end}'
    lines = [line for part in parts for line in _wrapped(part)]
    return f'{keyword} ""{end}' + "".join(f'"{line}"{end}' for line in lines)


def _wrapped(text: str) -> list[str]:
    """Return a line broken before the words that do not fit, with the blanks at the ends of the lines."""
    lines, line = [], ""
    for word in _WORD.findall(text):
        if line and len(line) + len(word.rstrip()) > WIDTH:
            lines.append(line)
            line = ""
        line += word
    return [*lines, line] if line else lines
