"""JSON that a model writes as its answer, often in a code fence, and often with a sentence before or after it."""

import re
from typing import Final

import orjson

from jobs.writing.prose import FENCE

_LANGUAGES: Final = frozenset({"", "json", "jsonc", "json5", "application/json"})
"""The languages that may stand behind the opening fence of a block that holds JSON; mostly none stands there."""


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
