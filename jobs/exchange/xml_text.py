"""Writes texts and tags of XML. What XML 1.0 cannot hold (most control characters, half a surrogate pair) is left out."""

from collections.abc import Mapping
from typing import Final

import regex

_FORBIDDEN: Final = regex.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def written(text: str) -> str:
    """Return a text as the content of an element."""
    made = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return _FORBIDDEN.sub("", made)


def tag(name: str, attributes: Mapping[str, str | None], *, is_empty: bool = False) -> str:
    """Return a tag that opens an element, or an empty element. An attribute without a value is left out."""
    parts = [
        f' {key}="{written(value).translate({34: "&quot;", 10: "&#10;", 9: "&#9;"})}"'
        for key, value in attributes.items()
        if value
    ]
    return f"<{name}{''.join(parts)}{'/' if is_empty else ''}>"
