"""Hashtags in a text that a model wrote."""

import re
from collections.abc import Callable, Collection
from typing import Final

HASHTAG: Final = re.compile(r"(?<![\w&/#])#(\w*[^\W\d_]\w*)")
"""Matches a hashtag, which has at least one letter; group 1 is the hashtag without its #."""

_WORD: Final = re.compile(r"\S+")
_GLUED: Final = re.compile(r"(?<=[^\w\s,;:&/#])(?:#\w*[^\W\d_]\w*)+$")
"""Matches hashtags directly behind the end of a sentence, as in Japanese."""


def start_of_last_hashtags(line: str) -> int:
    """Return the position where the hashtags at the end of a line begin, with the space before them. Without such hashtags, it
    is the line's length.

    Spaces and full stops between and behind the hashtags count with them.
    """
    start, kept = len(line), line.rstrip(" \t.")
    for word in reversed(list(_WORD.finditer(kept))):
        if not HASHTAG.fullmatch(word[0]):
            if glued := _GLUED.search(word[0]):
                return word.start() + glued.start()
            return word.end() if start < len(line) else start
        start = word.start()
    return 0 if start < len(line) else start


def without_hashtags(text: str, kept: Collection[str] = (), note: Callable[[str], None] | None = None) -> str:
    """Return the text without the hashtags at the end of its lines; other hashtags lose their #.

    A single hashtag that ends a sentence is a word of the sentence and stays, without its #. Hashtags in `kept` (in lower case,
    without #) stay with their #. So do all hashtags beside them at the end of a line. `note` is called with each part that is
    taken out.
    """
    lines = []
    for line in text.split("\n"):
        start = start_of_last_hashtags(line)
        before, row = line[:start], line[start:]
        tags = HASHTAG.findall(row)
        if (len(tags) == 1 and _goes_on(before)) or any(tag.casefold() in kept for tag in tags):
            before, row = line, ""
        if note is not None and row:
            note(row)
        if before.strip() or before == line:
            lines.append(HASHTAG.sub(lambda tag: tag[0] if tag[1].casefold() in kept else tag[1], before))
    return "\n".join(lines)


def _goes_on(before: str) -> bool:
    """Whether the text before a hashtag ends in the middle of a sentence."""
    last = before.rstrip()[-1:]
    return last.isalnum() or (last != "" and last in "_,;:")
