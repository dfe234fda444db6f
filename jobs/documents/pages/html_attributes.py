"""Finds the attributes of a tag in HTML that a reader sees, with their places."""

from dataclasses import dataclass
from typing import Final

import regex

from jobs.documents.pages.html_tokens import Token

_SEEN_WORDS: Final = "alt title aria-label aria-description aria-placeholder aria-roledescription placeholder summary"
SEEN: Final = frozenset(_SEEN_WORDS.split())
"""Attributes that a reader sees."""

_LABELLED: Final = frozenset(("option", "optgroup", "track"))
_BUTTONS: Final = frozenset(("button", "submit", "reset"))
_META_WORDS: Final = (
    "description keywords og:title og:description og:site_name og:image:alt twitter:title twitter:description "
    "twitter:image:alt application-name apple-mobile-web-app-title"
)
_META: Final = frozenset(_META_WORDS.split())
_ATTRIBUTE: Final = regex.compile(
    r"(?<=[\s\"'/])([^\s\"'<>/=]{1,100}+)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'=<>`]++))"
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value that a reader sees: its name, its place in its tag, and the value as it stands there."""

    name: str
    start: int
    end: int
    raw: str
    quote: str


def seen_attributes(token: Token) -> list[Attribute]:
    """Return the attributes of a tag that a reader sees and that have words."""
    if "=" not in token.text:
        return []
    found: dict[str, Attribute] = {}
    for match in _ATTRIBUTE.finditer(token.text):
        group = next(n for n in (2, 3, 4) if match[n] is not None)
        quote = {2: '"', 3: "'", 4: ""}[group]
        found.setdefault(match[1].lower(), Attribute(match[1].lower(), *match.span(group), match[group], quote))
    names = {name for name in found if name in SEEN}
    if token.name in _LABELLED:
        names |= {"label"} & found.keys()
    if token.name == "input" and "type" in found and found["type"].raw.lower() in _BUTTONS:
        names |= {"value"} & found.keys()
    if token.name == "meta":
        named = next((found[key].raw.lower() for key in ("name", "property", "itemprop") if key in found), "")
        names = {"content"} & found.keys() if named in _META else set()
    return sorted((found[name] for name in names), key=lambda one: one.start)
