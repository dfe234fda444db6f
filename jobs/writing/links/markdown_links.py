"""Links in Markdown, `[text](link)`. Models write them even where plain text is wanted."""

import re
from typing import Final

MARKDOWN_LINK: Final = re.compile(r"!?\[([^\[\]]*+)\]\((?:[^()\s]++|\([^()\s]*+\))*+(?:\s++\"[^\"\n]*+\")?\s*+\)")
"""Matches a link or an image in Markdown; group 1 is its text. The link may have parentheses in pairs and a title behind it."""


def without_markdown_links(text: str) -> str:
    """Return the text, with each link replaced by the link's own text."""
    return MARKDOWN_LINK.sub(r"\1", text)
