"""JSON that a model writes as its answer, often in a code fence, and often with a sentence before or after it."""

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from jobs.writing.prose import FENCE

_LANGUAGES: Final = frozenset({"", "json", "jsonc", "json5", "application/json"})
"""The languages that may stand behind the opening fence of a block that holds JSON; mostly none stands there."""


MAX_NESTING: Final = 3
"""A text is looked for in at most this many objects and lists, one inside the other."""

_NEARLY: Final = re.compile(
    r"\{\s{0,20}[\"']?(?P<key>\w[\w -]{0,60})[\"']?\s{0,20}:\s{0,20}"
    r"(?P<quote>[\"'])(?P<value>(?:\\.|(?!(?P=quote))[^\\\n])++)(?P=quote)\s{0,20},?\s{0,20}\}?"
)
"""Matches an object with one text that is nearly JSON, such as `{'title': 'Tomatoes',}`."""


def json_of(text: str) -> str:
    """Return the JSON in an answer, as the model wrote it: the whole answer, or the content of its only block of code with
    JSON.

    Raises ValueError if the answer has no JSON, or has several blocks with JSON, so that it is not certain which one is meant.
    """
    text = text.strip()
    fault = _fault(text)
    if not fault:
        return text
    found = [block for block in _blocks(text) if not _fault(block)]
    if len(found) != 1:
        raise ValueError("it has several blocks of JSON" if found else fault)
    return found[0]


def text_in_json(text: str, *families: str, beside_words: bool = False) -> str | None:
    """Return the text that an answer gives as JSON, such as `{"title": "Tomatoes"}`; None if it gives none.

    An object gives the value of its only key, or of the only key that is a word of the first of these families that it has (see
    jobs/writing/labels.py). A list gives its texts, one on each line. JSON that is nearly valid is read too: with single
    quotes, or with a comma at its end.

    The whole answer must be JSON or one block of code. If `beside_words`, words may stand beside the block or the object.
    """
    fences = sum(FENCE.match(line) is not None for line in _lines(text.strip()))
    fenced = FENCE.match(text.strip()) is not None and text.rstrip().endswith(("```", "~~~")) and fences <= 2
    try:
        found = orjson.loads(json_of(text) if fenced or beside_words else text)
    except ValueError:
        if (nearly := _NEARLY.fullmatch(text.strip())) is None:
            inner = text[text.find("{") : text.rfind("}") + 1]
            return text_in_json(inner, *families) if beside_words and inner and inner != text else None
        found = {nearly["key"]: nearly["value"].replace(f"\\{nearly['quote']}", nearly["quote"])}
    return _text_of(found, families, MAX_NESTING) if isinstance(found, dict | list) else None


def _text_of(value: Any, families: Sequence[str], depth: int) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, dict) and depth:
        key = next(iter(value)) if len(value) == 1 else _named(list(value), families)
        return None if key is None else _text_of(value[key], families, depth - 1)
    if isinstance(value, list) and depth:
        texts = [_text_of(one, families, depth - 1) for one in value]
        return "\n".join(filter(None, texts)) or None if all(texts) else None
    return None


def _named(keys: Sequence[str], families: Sequence[str]) -> str | None:
    """Return the only key that is a word of the first family that has any of the keys."""
    for family in families:
        words = re.compile(f"(?:{family})s?", re.IGNORECASE)
        if found := [key for key in keys if words.fullmatch(re.sub(r"[_\W]+", " ", key).strip())]:
            return found[0] if len(found) == 1 else None
    return None


def _blocks(text: str) -> list[str]:
    """Return the contents of the blocks of code that may hold JSON. The last block may lack its closing fence."""
    blocks: list[str] = []
    lines, fence, language = [""], "", ""
    for line in _lines(_with_own_lines(text)):
        mark = FENCE.match(line)
        if not fence and mark:
            fence, language, lines = mark[1], line[mark.end() :].strip().lower(), []
        elif fence and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            blocks += ["\n".join(lines).strip()] if language in _LANGUAGES else []
            fence = ""
        elif fence:
            lines.append(line)
    return [*blocks, "\n".join(lines).strip()] if fence and language in _LANGUAGES else blocks


def _with_own_lines(text: str) -> str:
    """Return the text with line breaks at the fences of a block that stands on one line, such as ```json {"a": 1}```."""
    lines = []
    for line in _lines(text):
        mark = FENCE.match(line)
        inner = line[mark.end() :].rstrip() if mark else ""
        if mark and inner.endswith(mark[1]) and len(inner) > len(mark[1]):
            language, space, rest = inner.removesuffix(mark[1]).strip().partition(" ")
            code = rest if space and language.lower() in _LANGUAGES else inner.removesuffix(mark[1]).strip()
            lines += [mark[1], code, mark[1]]
        else:
            lines.append(line)
    return "\n".join(lines)


def _lines(text: str) -> list[str]:
    """Return the lines of a text. Other separators of lines, such as U+2028, may stand in the texts of JSON, and end no line."""
    return re.split(r"\r\n|\r|\n", text)


def _fault(text: str) -> str:
    """Return why a text is not JSON; an empty text if it is."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return error.msg
    return ""
