"""Hashtags in a text that a model wrote."""

import re
from typing import Final

HASHTAG: Final = re.compile(r"(?<![\w&/#])#(\w*[^\W\d_]\w*)")
"""Matches a hashtag, which has at least one letter; group 1 is the hashtag without its #."""

_WORD: Final = re.compile(r"\S+")


def start_of_last_hashtags(line: str) -> int:
    """Return where the row of hashtags at the end of a line begins, with the space before it; the line's length if it has none.

    Spaces and full stops behind the hashtags belong to the row.
    """
    start, kept = len(line), line.rstrip(" \t.")
    for word in reversed(list(_WORD.finditer(kept))):
        if not HASHTAG.fullmatch(word[0]):
            return word.end() if start < len(line) else start
        start = word.start()
    return 0 if start < len(line) else start


def without_hashtags(text: str) -> str:
    """Return the text without the hashtags at the end of its lines; other hashtags lose their #."""
    lines = []
    for line in text.split("\n"):
        kept = line[: start_of_last_hashtags(line)]
        if kept.strip() or kept == line:
            lines.append(HASHTAG.sub(r"\1", kept))
    return "\n".join(lines)
