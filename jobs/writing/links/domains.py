"""Domains: where a host name with a known top-level domain may begin in a text, and where it ends.

These are the rules of twitter-text, which X and Mastodon use. A domain is a chain of labels, each followed by a full stop, and
a top-level domain. A label may have any characters except punctuation, spaces and marks of direction, so also Chinese or
Japanese letters. A domain may begin in the middle of a label: `日本example.com` has the domain `本example.com`, of which X links
the Latin part.

twitter-text searches with one backtracking pattern, which takes quadratic time on some texts. Here each label is looked at
once, so the time is linear.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

SPACES: Final = r"\x09-\x0D\x20\x85\xA0\u1680\u180E\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
"""The spaces of twitter-text, as a part of a class of characters in a pattern."""

DIRECTION: Final = r"\u202A-\u202E\u061C\u200E\u200F\u2066-\u2069"
"""Invisible marks that set the direction of writing, as a part of a class of characters in a pattern."""

UNPOSTABLE: Final = "\ufffe\ufeff\uffff"
"""X refuses a post that has one of these: a byte order mark, or one of two code points that are no characters."""

LATIN: Final = (
    r"\xC0-\xD6\xD8-\xF6\xF8-\u024F\u0253\u0254\u0256\u0257\u0259\u025B\u0260\u0263\u0268\u0269\u026F\u0272\u0275\u0280\u0283"
    r"\u0288-\u028C\u0292\u02BB\u0300-\u036F\u0399\u03B9\u1E00-\u1EFF\u1FBE\u2C65\u2C66\u2C7E\u2C7F\uA7DC"
)
"""Latin letters with accents, and the accents themselves. JavaScript folds upper and lower case of these."""

_LATIN_CHAIN: Final = re.compile(rf"(?<![-a-zA-Z0-9{LATIN}])(?:[-a-zA-Z0-9{LATIN}]++\.)++")
_MARKS: Final = "_-"
_PUNYCODE: Final = re.compile(r"xn--[-0-9a-z]+", re.IGNORECASE | re.ASCII)
_NO_END: Final = re.compile(r"[0-9a-zA-Z@+-]")


@dataclass(frozen=True, slots=True)
class Label:
    """A run of characters of a label with a full stop behind it.

    Attributes:
        start: The position of its first character.
        stop: The position of the full stop.
        underscore: The position of its last underscore; -1 if it has none.
        end: The end of the longest domain in which further labels follow this label; None if there is no such domain.
        last_end: The end of the domain whose last label this is; None if no top-level domain follows.
    """

    start: int
    stop: int
    underscore: int
    end: int | None
    last_end: int | None

    def end_from(self, position: int) -> int | None:
        """Return the end of the longest domain that begins at this position in the label; None if there is none."""
        if self.end is not None:
            return self.end
        return self.last_end if self.underscore < position else None


def labels(text: str, of_label: re.Pattern[str]) -> list[Label]:
    """Return all labels of a text that are followed by a full stop and may stand in a domain, in their order.

    The pattern `of_label` matches a run of the characters that a label may have.
    """
    found: list[Label] = []
    behind: Label | None = None
    for start, stop in reversed([run.span() for run in of_label.finditer(text)]):
        if text[stop : stop + 1] != "." or text[stop - 1] in _MARKS:
            continue
        follows = behind is not None and behind.start == stop + 1 and text[behind.start] not in _MARKS
        end = behind.end_from(behind.start) if follows and behind else None
        behind = Label(start, stop, text.rfind("_", start, stop), end, end_of_top_level(text, stop + 1))
        found.append(behind)
    return found[::-1]


def end_of_top_level(text: str, start: int) -> int | None:
    """Return the end of the top-level domain that begins at `start`; None if there is none."""
    known = _ranks()
    folded = "".join(map(_folded, text[start : start + _LONGEST].partition(".")[0]))
    ranks = [
        (known[folded[:n]], n)
        for n in range(1, len(folded) + 1)
        if folded[:n] in known and not _NO_END.match(text, start + n)
    ]
    if ranks:
        return start + min(ranks)[1]
    punycode = _PUNYCODE.match(text, start)
    return punycode.end() if punycode else None


def latin_domains(domain: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each part of a domain that X links without a scheme: its labels have Latin letters and digits."""
    position = 0
    while chain := _LATIN_CHAIN.search(domain, position):
        stops = [n for n in range(chain.start(), chain.end()) if domain[n] == "."]
        end = next(filter(None, (end_of_top_level(domain, stop + 1) for stop in reversed(stops))), None)
        if end is not None:
            yield chain.start(), end
        position = end or chain.end()


def has_valid_labels(domain: str) -> bool:
    """Whether each label has 1 to 63 characters in the form for name servers (Punycode)."""
    if not all(1 <= _punycode_length(label) <= 63 for label in domain.split(".")):
        return False
    return not domain.startswith("xn--") or next(latin_domains(domain), None) is not None


def _punycode_length(label: str) -> int:
    if len(label) > 63:
        return len(label)
    parts = re.split("[\u3002\uff0e\uff61]", label)
    return (
        sum(len(part) if _is_printable_ascii(part) else 4 + len(part.encode("punycode")) for part in parts)
        + len(parts)
        - 1
    )


def _is_printable_ascii(part: str) -> bool:
    return all(" " <= character <= "~" for character in part)


@cache
def top_level_domains() -> Sequence[str]:
    """Return all top-level domains that X knows. If a domain may end with one of several, it ends with the first of them in
    this order.
    """
    text = files("jobs.writing.links").joinpath("top_level_domains.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


@cache
def _ranks() -> Mapping[str, int]:
    """Return top-level domain (its case folded) -> its place in the list."""
    return {"".join(map(_folded, name)): n for n, name in enumerate(top_level_domains())}


_LONGEST: Final = 24
"""No top-level domain is longer than this. Those in Punycode have no limit here."""


def _folded(character: str) -> str:
    """Fold the case of a character as a pattern of JavaScript does."""
    upper = character.upper()
    return character if len(upper) != 1 or ord(character) > 0xFFFF or (upper < "\x80" <= character) else upper
