"""Makes a text safe to print on a terminal: a text of a row, an answer of a model, or the name of a file.

A terminal obeys control characters: a text may set the terminal's title, fill its clipboard, or overwrite the line before.
Control characters, and characters that turn the direction of other text, are shown as hexadecimal escapes instead.
"""

import re
import shlex
from typing import Final

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Matches C0 controls except tab and line feed, DEL, C1 controls, line and paragraph separators, bidirectional embeddings,
overrides and isolates, and lone surrogates. Marks such as U+200F, which Arabic and Hebrew texts need, are harmless.
"""


def printable(text: str) -> str:
    """Return a text of several lines with its control characters escaped. Tabs and line feeds stay."""
    return _CONTROLS.sub(_escape, text)


def one_line(text: str) -> str:
    """Return a text as one line, with its control characters escaped: a line feed becomes a backslash and an n."""
    return printable(text).replace("\n", "\\n")


def shell_word(text: str) -> str:
    """Return a text as a word of a shell command that can be copied from a terminal: on one line, and quoted if needed.

    Control characters are written as `$'...'` has them, which bash, zsh, ksh and the sh of POSIX 2024 read.
    """
    if not (_CONTROLS.search(text) or "\n" in text or "\t" in text):
        return text if shlex.quote(text) == text else "'{}'".format(text.replace("'", "'\\''"))
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"$'{_CONTROLS.sub(_bytes, escaped)}'"


def _bytes(found: re.Match[str]) -> str:
    """Return the bytes of a character as octal escapes. A lone surrogate stands for a byte of a file's name."""
    return "".join(f"\\{byte:03o}" for byte in found[0].encode(errors="surrogateescape"))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
