"""The links and mentions of a post on Mastodon, as its server finds them.

Only links with a scheme count as links. Path and query may have characters of any script: in Chinese and Japanese a link with a
path runs on to the next space or parenthesis. The server searches with twitter-text and its own classes of characters:
https://github.com/mastodon/mastodon, config/initializers/twitter_regex.rb and app/validators/status_length_validator.rb.
"""

import re
import stringprep
from typing import Final

import regex

from jobs.writing.links.domains import DIRECTION, LATIN, SPACES, UNPOSTABLE
from jobs.writing.links.twitter_text import Link, Match, Rules, matches

MAX_LENGTH: Final = 4_096
"""A longer link, in characters and with its domain in Punycode, is no link."""

MAX_SLUG: Final = 40
"""A link of X's shortener with more characters than this after t.co/ is no link."""

_SPACES: Final = r"\x09-\x0D\x20\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
_GENERAL: Final = rf"[^{_SPACES}<>()?]"
_PARENTHESES: Final = re.compile(rf"\((?:{_GENERAL}++|{_GENERAL}*+\({_GENERAL}++\){_GENERAL}*+)\)")
_PATH: Final = re.compile(rf"/((?:{_GENERAL}++|{_PARENTHESES.pattern})*+)")
_NO_END_OF_PATH: Final = "!*\"'「」:;=,.$%[]~&|@"
_PLAIN: Final = (
    rf"[a-zA-Z\p{{Cyrillic}}0-9!*';:=+,.$/%#\[\]\p{{Pd}}_~&|@{LATIN}]"  # characters in a path's last parentheses
)
_PLAIN_PARENTHESES: Final = regex.compile(rf"\((?:{_PLAIN}++|{_PLAIN}*+\({_PLAIN}++\){_PLAIN}*+)\)")
_QUERY: Final = re.compile(
    r"\?([a-zA-Z0-9!?*'();:&=+$/%#\[\]\-_.,~|@^\xA0-\uD7FF\uE000-\uFDCF\uFDF0-\uFFEF"
    + "".join(rf"\U{plane:04x}0000-\U{plane:04x}fffd" for plane in range(1, 14))
    + r"\U000E1000-\U000EFFFD\U000F0000-\U000FFFFD\U00100000-\U0010FFFD]*)"
)
_NO_END_OF_QUERY: Final = "!?*'();:+$%[].,~|@^"
_SHORTENED: Final = re.compile(r"https?://t\.co/([a-z0-9]+)", re.IGNORECASE | re.ASCII)
_WORD: Final = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]"
_MENTION: Final = regex.compile(
    rf"(?<!=|/|{_WORD})(@[a-zA-Z0-9_]++(?:[.-]++[a-zA-Z0-9_]++)*+)(?:@{_WORD}++(?:[.-]++{_WORD}++)*+)?"
)
_NO_MENTION_BEFORE: Final = re.compile(rf"[@\uFF20{LATIN}]|://")


def mastodon_links(text: str) -> list[Link]:
    """Return the links of a text, in their order."""
    return [link for match in matches(text, _RULES) if (link := _link_of(text, match))]


def shortened_for_count(text: str, link_length: int) -> str:
    """Return the text that Mastodon counts: links with `link_length` characters, mentions without their server."""
    found = [(link.start, link.start + len(link.text), "x" * link_length) for link in mastodon_links(text)]
    found += [
        (*mention.span(), mention[1])
        for mention in _MENTION.finditer(text)
        if not _NO_MENTION_BEFORE.match(text, mention.end())
    ]
    pieces, position = [], 0
    for start, end, counted in sorted(found):
        if start >= position:
            pieces += [text[position:start], counted]
            position = end
    return "".join([*pieces, text[position:]])


def _link_of(text: str, match: Match) -> Link | None:
    url = match.scheme + text[match.start : match.end]
    if not match.scheme:
        return None
    if shortened := _SHORTENED.match(url):
        url = shortened[0]
        if len(shortened[1]) > MAX_SLUG:
            return None
    more = _added_by_punycode(match.domain)
    if more is None or len(url) + more > MAX_LENGTH:
        return None
    return Link(match.start - len(match.scheme), url)


def _added_by_punycode(domain: str) -> int | None:
    """Return how much longer a domain is in the form for name servers (IDNA 2003); None if it has no such form."""
    if len(domain) > MAX_LENGTH or any(map(stringprep.in_table_a1, domain)):
        return None
    try:
        return max(0, len(domain.encode("idna")) - len(domain))
    except UnicodeError:
        return None


def _end_of_path(text: str, start: int) -> int | None:
    """Return the end of a path. It ends with a character that is no mark, or with parentheses that hold only plain characters."""
    path = _PATH.match(text, start)
    if path is None:
        return None
    groups = {group.end(): group.start() for group in _PARENTHESES.finditer(path[1])}
    kept = path[1].rstrip(_NO_END_OF_PATH)
    while (opening := groups.get(len(kept))) is not None and not _PLAIN_PARENTHESES.fullmatch(kept, opening):
        kept = kept[:opening].rstrip(_NO_END_OF_PATH)
    return path.start(1) + len(kept)


def _end_of_query(text: str, start: int) -> int | None:
    query = _QUERY.match(text, start)
    kept = len(query[1].rstrip(_NO_END_OF_QUERY)) if query else 0
    return start + 1 + kept if kept else None


_RULES: Final = Rules(
    label=re.compile(rf"[^\x00-\x1F\x7F!\"#$%&'()*+,./:;<=>?@\[\]^`{{|}}~{SPACES}{UNPOSTABLE}{DIRECTION}]+"),
    scheme=re.compile(r"(?:https?|dat|dweb|ipfs|ipns|ssb|gopher|gemini)://\Z", re.IGNORECASE | re.ASCII),
    longest_scheme=9,
    end_of_path=_end_of_path,
    end_of_query=_end_of_query,
    in_utf16=False,
)
