"""The emoji that X counts as one character each: those of twemoji-parser 11.0.2, which twitter-text 3.1.0 uses.

It knows the emoji of Unicode 11. A newer sequence of joined emoji counts as its parts, as X counts it.
"""

import re
from functools import cache
from importlib.resources import files


def x_emoji(text: str) -> dict[int, int]:
    """Return the emoji of a text: start -> end."""
    return dict(emoji.span() for emoji in _pattern().finditer(text))


@cache
def _pattern() -> re.Pattern[str]:
    text = files("jobs.writing").joinpath("x_emoji.txt").read_text(encoding="ascii")
    return re.compile("".join(line for line in text.splitlines() if not line.startswith("# ")))
