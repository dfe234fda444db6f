"""What escapes of characters in catalogues have in common: halves of a character beyond U+FFFF, each escaped by itself."""

from typing import Final

import regex

_PAIR: Final = regex.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_HALF: Final = regex.compile(r"[\ud800-\udfff]")


def paired(text: str) -> str:
    """Return a text with one character in place of each pair of halves."""
    return _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def has_half(text: str) -> bool:
    """Whether a text has half a character, which is no text that can be translated."""
    return _HALF.search(text) is not None
