"""Finds the end of a link that is followed by Chinese, Japanese or Korean letters.

`LINK` ends before such letters, because a sentence may begin there: `https://example.com/をご覧ください`. The letters belong to
the link if more of a path follows (`/製品/概要`, `/検索?q=1`), or if the link stands alone between white space, and the
letters hold no
words of a sentence.
"""

import re
from typing import Final

_LETTERS: Final = r"\u3005-\u3007\u30A1-\u30FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7A3\uF900-\uFAFF"
"""Ideographs, Katakana and Hangul; a part of a class of characters. Words of a sentence behind a link begin with Hiragana."""

_FIRST: Final = rf"[{_LETTERS}]"
_NEXT: Final = rf"[{_LETTERS}\u3041-\u309F\w~-]"
_SEPARATOR: Final = r"(?:[/?#&=+:](?=[\w%])|%(?=[0-9A-Fa-f]{2})|\.(?=[A-Za-z0-9]{1,5}(?![A-Za-z0-9])))"
_MORE: Final = re.compile(
    rf"{_FIRST}{_NEXT}*+{_SEPARATOR}(?:{_NEXT}*+{_SEPARATOR})*+(?:(?![\u3041-\u3096]){_NEXT})*+/?"
)
_ALONE: Final = re.compile(rf"{_FIRST}(?:{_NEXT}|{_SEPARATOR})*+/?(?=\s|\Z|[)\]>\"'\u300d\u300f\uff09\u3011])")
_SENTENCE: Final = re.compile(
    r"[\u3041-\u3096]"
    r"|^(?:\u4e86\u89e3|\u67e5\u770b|\u67e5\u8a62|\u67e5\u8be2|\u83b7\u53d6|\u7372\u53d6|\u5373\u53ef|\u4e0b\u8f7d|\u4e0b\u8f09|"
    r"\u62a5\u540d|\u5831\u540d|\u8d2d\u4e70|\u8cfc\u8cb7|\u6ce8\u518c|\u8a3b\u518a|\u8ba2\u9605|\u8a02\u95b1|\u53c2\u52a0|\u53c3\u52a0|"
    r"\u9886\u53d6|\u9818\u53d6|\u52a0\u5165|\u54a8\u8be2|\u8aee\u8a62|\u9884\u8ba2|\u9810\u8a02|\u53c2\u7167|\u770b|\u6765|\u4f86|\u548c|\u6216|"
    r"\u4ee5|\u5c31|\u53ef|\u5427|\u54e6|\u7684|\u662f|\u5728)"
    r"|^(?:\uc5d0\uc11c|\uc5d0|\uc744|\ub97c|\ub85c|\uc73c\ub85c|\uc740|\ub294|\uc774|\uac00|\uc640|\uacfc|\uc758|\ub3c4|\ucc38\uc870|\ud655\uc778)"
    r"|(?:\uc744|\ub97c|\uc5d0\uc11c|\uc73c\ub85c|\ub2c8\ub2e4|\uc138\uc694)/?$"
)
"""Matches Hiragana, and Chinese (`了解`) and Korean (`에서`) words that continue a sentence after a link."""


def end_of_path(text: str, start: int, end: int) -> int:
    """Return the end of a link that LINK found from `start` to `end`."""
    if text[end - 1] not in "/=-_" or "/" not in text[start:end].partition("://")[2]:
        return end
    more = _MORE.match(text, end)
    if more is not None and _SENTENCE.match(more[0]):
        return end
    if not text[:start] or text[start - 1].isspace() or text[start - 1] in "(<[:\uff1a\uff08":
        alone = _ALONE.match(text, end)
        if alone is not None and (more is not None or _SENTENCE.search(alone[0]) is None):
            return alone.end()
    return end if more is None else more.end()
