"""JSON that a model writes as its answer, often in a code fence, and often with a sentence before or after it."""

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from jobs.writing.labels import QUALIFIER, TEXT
from jobs.writing.prose import FENCE

_LANGUAGES: Final = frozenset({"", "json", "jsonc", "json5", "application/json"})
"""The languages that may stand behind the opening fence of a block that holds JSON; mostly none stands there."""


MAX_NESTING: Final = 3
"""A text is looked for in objects and lists that are nested at most this deep."""

_NEARLY: Final = re.compile(
    r"\{\s{0,20}[\"']?(?P<key>\w[\w -]{0,60})[\"']?\s{0,20}:\s{0,20}"
    r"(?P<quote>[\"'])(?P<value>(?:\\.|(?!(?P=quote))[^\\\n])++)(?P=quote)\s{0,20},?\s{0,20}\}?"
)
"""Matches an object with one text that is nearly JSON, such as `{'title': 'Tomatoes',}`."""


_NUMBERED: Final = re.compile(r"\D{0,20}\d{1,3}")
"""Matches a numbered key, such as `1` or `section_2`."""

_BEGINS: Final = re.compile(r"\s*(?:\{\s*[\"'\u201c\u201e]|\[\s*[\"{\u201c])")


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

    Of an object with one key, its value is taken. Of any other object, the value of a key that names a text: a word of the first
    of `families` (see jobs/writing/labels.py) that has any of the keys, else a word such as `text`. Of a list, or an object with
    numbered keys, all texts are taken, one a line. JSON that is nearly valid is read too: with single or curly quotes, or with a
    comma at its end.

    The whole answer must be JSON or one block of code. If `beside_words`, words may stand beside the block or the object.
    """
    text = text.strip()
    if text.startswith(("{\u201c", "[\u201c")):
        text = text.translate({ord("\u201c"): '"', ord("\u201d"): '"'})
    fences = sum(FENCE.match(line) is not None for line in _lines(text))
    fenced = FENCE.match(text) is not None and text.endswith(("```", "~~~")) and fences <= 2
    try:
        found = orjson.loads(json_of(text) if fenced or beside_words else text)
    except ValueError:
        if (nearly := _NEARLY.fullmatch(text)) is None:
            inner = text[text.find("{") : text.rfind("}") + 1]
            return text_in_json(inner, *families) if beside_words and inner and inner != text else None
        found = {nearly["key"]: nearly["value"].replace(f"\\{nearly['quote']}", nearly["quote"])}
    return _text_of(found, (*families, TEXT), MAX_NESTING) if isinstance(found, dict | list) else None


def is_json_like(text: str) -> bool:
    """Whether a text begins like a JSON object, or a list of texts or objects. It need not be valid JSON."""
    return _BEGINS.match(text) is not None


def _text_of(value: Any, families: Sequence[str], depth: int) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, dict) and len(value) > 1 and all(map(_NUMBERED.fullmatch, value)):
        value = list(value.values())
    if isinstance(value, dict) and depth:
        key = next(iter(value)) if len(value) == 1 else _named(list(value), families)
        return None if key is None else _text_of(value[key], families, depth - 1)
    if isinstance(value, list) and depth:
        texts = [_text_of(one, families, depth - 1) for one in value]
        return "\n".join(filter(None, texts)) or None if all(texts) else None
    return None


def _named(keys: Sequence[str], families: Sequence[str]) -> str | None:
    """Return the first key in the first family that has any of the keys; None if no family has one."""
    for family in families:
        words = re.compile(f"(?:{QUALIFIER} ){{0,2}}(?:{family})s?", re.IGNORECASE)
        for key in keys:
            if words.fullmatch(re.sub(r"[_\W]+", " ", key).strip()):
                return key
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
