"""Web links: links with a scheme, as models invent them, whatever the platform.

The rules of a platform do not find such links well: X finds no link in `https://intranet/wiki`, and on Mastodon and Bluesky a
link includes the Japanese sentence behind it.
"""

import re
from typing import Final

from jobs.writing.links.domains import top_level_domains

_UNSPACED: Final = (
    r"\u0E00-\u109F\u1100-\u11FF\u1780-\u17FF\u19E0-\u19FF\u2E80-\uA4CF\uA960-\uA97F\uA9E0-\uA9FF\uAA60-\uAA7F\uAC00-\uD7FF"
    r"\uF900-\uFAFF\uFE30-\uFE4F\uFF00-\uFFEF\U0001AFF0-\U0001B16F\U00020000-\U0003FFFF"
)
"""Scripts in which a word may follow a link without a space; a part of a class of characters in a pattern.

They are Chinese, Japanese, Korean, Yi, Thai, Lao, Khmer, Burmese and Tibetan.
"""

_NUMBERS: Final = r"\u00B2\u00B3\u00B9\u2070-\u218F\u2460-\u24FF\u2776-\u2793"
_MARKS: Final = r"\u0300-\u036F\u0483-\u0487\u0591-\u05C7\u0610-\u061A\u064B-\u065F\u0900-\u0963\u0966-\u0DFF"
_LETTER: Final = rf"(?:[^\W_{_UNSPACED}{_NUMBERS}]|[{_MARKS}])"
_LABEL: Final = rf"(?:{_LETTER}|[_-])++"
_TOP_LEVEL: Final = "|".join(
    sorted((name for name in top_level_domains() if re.match(f"[{_UNSPACED}]", name)), key=len, reverse=True)
)
_HOST: Final = (
    rf"(?:{_LABEL}(?:\.{_LABEL})*+|(?:[\w{_MARKS}-]++\.)+(?:{_LETTER}{{2,}}+|{_TOP_LEVEL})|\[[0-9a-fA-F:.]++\])"
)
_INSIDE: Final = r"[!'*,.:;?_]"
_END: Final = rf"(?:{_LETTER}|[#$%&+/=@~-])"
_IN_BRACKETS: Final = rf"(?:{_END}|{_INSIDE})"
_BRACKETS: Final = rf"(?:\((?:{_IN_BRACKETS}++|\({_IN_BRACKETS}*+\))*+\)|\[{_IN_BRACKETS}*+\])"

_FIRST: Final = r"(?:(?<!//)|(?<=[^:/]//)|(?<=\A//))"
"""Stands before a scheme that follows no other scheme. Without this, the time for `http://http://…` would be quadratic."""

LINK: Final = re.compile(
    rf"{_FIRST}(?:[Hh][Tt][Tt][Pp][Ss]?:/{{2,}}+)++(?:[A-Za-z0-9._~%!$&'*+,;=:-]++@)?{_HOST}(?::[0-9]++)?"
    rf"(?:(?=[/?#])(?:{_INSIDE}*+(?:{_END}++|{_BRACKETS}))*+)?"
)
"""Matches a link that has a scheme, such as `https://intranet/wiki`, whatever the platform.

The link ends before the punctuation of the sentence around it, and before a letter of a script that needs no space there, such
as Chinese or Japanese: `https://example.com/aです` is a link and a word. Only a host may have such letters, if it begins with
them and ends with a top-level domain.
"""
