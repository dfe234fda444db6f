"""Tells by the form of a text whether a mark separates thoughts, or the text only mentions the mark.

Models that reason begin with the opening and put the closing before the answer. Sometimes words come before the opening
(`Okay. <think>`), or the opening is missing and the answer follows at once (`So it is tea.</think>The answer`). A text on such
marks has them within its sentences, in code, in lists or in quotes.
"""

import re
from typing import Final

from workers.engines.text.reasoning_forms import Form

_SENTENCE_END: Final = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019)\u300d*_]{0,3}\s{0,9}\Z")
_FENCE: Final = re.compile(r"^ {0,3}(?:`{3}|~{3})", re.MULTILINE)
_LIST_MARK: Final = re.compile(r"\s*(?:[-*+>\u2022]|\d{1,3}[.)])\s*")
_BEGINNINGS: Final = '*_#"\u201c\u201e\u00ab\u300c\u00a1\u00bf'
"""Signs that may begin a sentence."""
_OPENING_SIGNS: Final = "`\"'\u201c\u201e\u2018\u201a\u00ab([{<|/=\u300c\uff08"
"""A mark after one of these signs is only mentioned."""
_CLOSING_SIGNS: Final = ",.;:!?)]}|`'\u201d\u2019\u00bb\u3001\u3002\uff0c\uff01\uff1f\u300d\uff09"
"""A mark before one of these signs is only mentioned."""
_CODE_INDENT: Final = 4
"""A line of Markdown that begins with this many spaces is code."""


def stands_alone(before: str, after: str, ended: bool) -> bool:
    """Whether a closing stands at the beginning or the end of a line, by the texts before and after it."""
    return before.rstrip(" ").endswith("\n") or after.lstrip(" ").startswith("\n") or (ended and not after.strip())


def begins_thoughts(words: str, mark: str, after: str) -> bool:
    """Whether an opening after these words begins thoughts.

    It must begin a line or follow a whole sentence, and a new line or a letter must follow it at once, unless it is a phrase with
    a colon. An opening in code begins no thoughts.
    """
    line = words.rpartition("\n")[2]
    if not words.strip() or len(_FENCE.findall(words)) % 2 or _is_code(words, after):
        return False
    follows = after.lstrip(" ").startswith("\n") or after[:1].isalnum() or mark.endswith(":")
    return follows and (not line.strip() or (_SENTENCE_END.search(line) is not None and not _LIST_MARK.fullmatch(line)))


def ends_thoughts(before: str, after: str, form: Form) -> bool:
    """Whether a closing without an opening ends thoughts, by the texts before and after it.

    It does on a line of its own, before a blank line, or between a whole sentence and the beginning of another. Without a space
    before it, it also does if a new line or a capitalised word follows, or, without a space after it, if a sentence ends before
    it. It does not in code, in a list, or beside other marks.
    """
    text = after.lstrip(" ")
    line = before.rpartition("\n")[2]
    if not after.strip() or any(mark in before for mark in form.openings) or _is_code(before, after):
        return False
    if len(_FENCE.findall(before)) % 2 or (line.strip() and _LIST_MARK.fullmatch(line)):
        return False
    if text.startswith("\n") and (not line.strip() or text.startswith("\n\n")):
        return True
    if any(mark in after for mark in (*form.openings, *form.closings)):
        return False
    glued = not (before[-1:].isspace() or before[-1:] in _OPENING_SIGNS)
    if glued and (text.startswith("\n") or after[0].isupper()):
        return True
    begins = not text[0].islower() and (text[0].isalnum() or text[0] in _BEGINNINGS)
    follows = glued and not after[0].isspace() and after[0] not in _CLOSING_SIGNS
    return _SENTENCE_END.search(before) is not None and (begins or follows)


def _is_code(before: str, after: str) -> bool:
    indent = before.rpartition("\n")[2]
    quoted = before[-1:] in {"`", '"', "'"} and after[:1] == before[-1:]
    return quoted or (not indent.strip() and len(indent.expandtabs()) >= _CODE_INDENT)
