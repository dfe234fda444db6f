"""The links of a post on X, as twitter-text 3.1.0 finds them.

Links with a scheme (http or https) and bare domains match. In Chinese and Japanese a link needs no spaces around it: it ends
before the first character that a path cannot have. https://github.com/twitter/twitter-text
"""

import re
from collections.abc import Iterator
from typing import Final

from jobs.writing.characters import utf16_units
from jobs.writing.links.domains import DIRECTION, LATIN, SPACES, UNPOSTABLE, has_valid_labels, latin_domains
from jobs.writing.links.twitter_text import Link, Match, Rules, matches

MAX_LENGTH: Final = 4_096
"""A link with more UTF-16 units than this is no link on X. In this count a scheme counts twice; a link without a scheme counts
as if it had https://.
"""

MAX_SLUG: Final = 40
"""A link of X's own shortener with more characters than this after t.co/ is no link."""

_NOT_BEFORE_A_BARE_DOMAIN: Final = "-_./"
_GENERAL: Final = rf"[!#-'*-;=@A-\[\]_a-z|~{LATIN}\u0400-\u04FF\u1C80-\u1C87\u2013]"
_PARENTHESES: Final = rf"\((?:{_GENERAL}++|{_GENERAL}*+\({_GENERAL}++\){_GENERAL}*+)\)"
_IN_PARENTHESES: Final = re.compile(_PARENTHESES)
_PARENTHESES_ALONE: Final = re.compile(rf"(?:{_PARENTHESES})*+")
_PATH: Final = re.compile(rf"/((?:{_GENERAL}++|{_PARENTHESES})*+)")
_NO_END_OF_PATH: Final = "!$%&'*,.:;@[]|~\u2013"
_QUERY: Final = re.compile(r"\?([!#-;=?-\[\]_a-z|~]*)")
_NO_END_OF_QUERY: Final = "!$%'()*+,.:;?@[]|~"
_SHORTENED: Final = re.compile(r"https?://t\.co/([a-z0-9]+)", re.IGNORECASE | re.ASCII)


def x_links(text: str) -> list[Link]:
    """Return the links of a text in NFC, in their order."""
    return [link for match in matches(text, _RULES) for link in _links_of(text, match)]


def end_on_x(link: Link, text: str) -> tuple[int, bool]:
    """Return the position behind a link as X counts it: the start of the link plus its length in UTF-16 units.

    The second value is true if this position is in the middle of a character. X drops characters from the middle of a link whose
    domain is not all Latin, so it may count other characters of `text` as a part of the link.
    """
    position, units = link.start, utf16_units(link.text)
    while units > 0:
        units -= utf16_units(text[position])
        position += 1
    return position, units < 0


def _end_of_path(text: str, start: int) -> int | None:
    """Return the end of a path: it ends with a letter, a digit or a similar character, or with parentheses behind one."""
    path = _PATH.match(text, start)
    if path is None:
        return None
    masked = _IN_PARENTHESES.sub(lambda part: ")" * len(part[0]), path[1])
    behind = _PARENTHESES_ALONE.match(path[1], len(masked.rstrip(f"{_NO_END_OF_PATH})")))
    return path.start(1) + (behind.end() if behind else 0)


def _end_of_query(text: str, start: int) -> int | None:
    query = _QUERY.match(text, start)
    kept = len(query[1].rstrip(_NO_END_OF_QUERY)) if query else 0
    return start + 1 + kept if kept else None


def _links_of(text: str, match: Match) -> Iterator[Link]:
    """Yield the links of a match. With a scheme, the whole match is one link; otherwise each Latin part of its domain is a
    link, the last one with the path.
    """
    domain, url = match.domain, match.scheme + text[match.start : match.end]
    counted = (match.scheme or "https://") + url
    if not has_valid_labels(domain) or utf16_units(counted) > MAX_LENGTH:
        return
    if match.scheme:
        shortened = _SHORTENED.match(url)
        if shortened is None:
            yield Link(match.start - len(match.scheme), url)
        elif len(shortened[1]) <= MAX_SLUG:
            end = _end_of_query(url, shortened.end()) or shortened.end()
            yield Link(match.start - len(match.scheme), url[:end])
        return
    if match.before and match.before in _NOT_BEFORE_A_BARE_DOMAIN:
        return
    position, parts = 0, [domain[start:end] for start, end in latin_domains(domain)]
    for n, part in enumerate(parts, 1):
        start = domain.index(part, position)  # where X finds the part, even if the domain has it earlier
        position = start + len(part)
        path = text[match.end_of_domain : match.end] if n == len(parts) and match.has_path else ""
        yield Link(match.start + start, part + path)


_RULES: Final = Rules(
    label=re.compile(rf"[^!'#%&()*+,\\./:;<=>?@\[\]^{{|}}~${SPACES}{UNPOSTABLE}{DIRECTION}]+"),
    scheme=re.compile(r"https?://\Z", re.IGNORECASE | re.ASCII),
    longest_scheme=8,
    end_of_path=_end_of_path,
    end_of_query=_end_of_query,
    in_utf16=True,
)
