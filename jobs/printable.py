"""Makes a text safe to print on a terminal, whoever wrote it: a row's author, a model, or the name of a file.

A terminal obeys control characters: a text may set its title, fill its clipboard, or go back and write over the line before.
Those characters, and those that turn the direction of other text, are shown as hexadecimal escapes instead.
"""

import re
from typing import Final

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 but tab and line feed, DEL, C1, line and paragraph separators, bidirectional embeddings, overrides and isolates, and
surrogates that are no character. Marks such as U+200F, which Arabic and Hebrew texts need, are harmless."""


def printable(text: str) -> str:
    """Return a text that may have several lines. Tabs and line feeds stay."""
    return _CONTROLS.sub(_escape, text)


def one_line(text: str) -> str:
    """Return a text as one line, for a value within a line: a line feed becomes a backslash and an n."""
    return printable(text).replace("\n", "\\n")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
