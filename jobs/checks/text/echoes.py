"""Finds parts of the prompt in the output: a long run of its words, or a sentence that tells the model what to write.

Values of the request may be quoted, such as a topic or the text from which a post is made. In a chat the turns of the user may
be quoted, and the turns of the system may not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import regex

from jobs.checks import reading
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.quoting import shortened
from jobs.findings import Severity
from jobs.writing.labels import INSTRUCTION

_SYSTEM: Final = "system"
_FEWEST_OF_LINE: Final = 4
"""A line of a prompt with fewer words than this is not looked for, since it may be a common sentence."""

_TASK: Final = regex.compile(
    r"(?<!\p{L})(?:you are an? (?:helpful|professional|expert|friendly)? ?(?:\p{L}+ )?"
    r"(?:assistant|translator|writer|copywriter|language model)\b"
    r"|you (?:answer|respond|reply) with (?:the|only)|(?:and )?nothing else\.|without any other text"
    r"|translate (?:the following|this) (?:text|sentence)|translate from \p{Lu}\p{L}+ (?:in)?to \p{Lu}"
    r"|write (?:a|the|one) (?:post|title|section|article|summary|meta description) "
    r"(?:for|of|about|in) [^.!?\n]{0,80}?\d+ (?:words|characters)"
    r"|(?:in|of) (?:about|at most) \d+ words\b|address the reader in the"
    r"|Sie sind ein (?:hilfreicher|professioneller) \p{L}+|Übersetzen? (?:Sie )?(?:den folgenden|diesen) (?:Text|Satz)"
    r"|(?:tu es|vous êtes) un (?:assistant|traducteur|rédacteur)|traduisez le texte suivant|traduis le texte suivant"
    r"|eres un (?:asistente|traductor|redactor)|traduce el siguiente texto"
    r"|sei un (?:assistente|traduttore)|traduci il seguente testo"
    r"|ты (?:полезный )?(?:ассистент|переводчик)|переведи(?:те)? следующий текст"
    r"|你是一[个名位](?:翻译|助手|专业)|请?将以下(?:文本|文字|内容)翻译"
    r"|あなたは(?:優秀な)?(?:翻訳者|アシスタント)|以下の(?:文章|テキスト|文)を[^。\n]{0,12}?翻訳して)",
    regex.IGNORECASE,
)
"""Matches words that tell a model what to do, such as `you are a helpful assistant`, and that a finished text hardly has."""

_SIGNS: Final = (
    "you are a|nothing else|without any|translate |write a |write the |write one| words|address the|you answer|you respond|"
    "you reply|sie sind ein|übersetz|tu es un|vous êtes un|traduis|eres un|traduce|sei un|traduci|ассистент|перевод|"
    "переведи|你是一|翻译|あなたは|翻訳して"
)
_TASK_SIGNS: Final = tuple(_SIGNS.split("|"))


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    prompts = [*subject.prompts, *_system_turns(subject.request)]
    given = _given(subject.request)
    for piece in subject.pieces:
        taken: list[tuple[int, int]] = []
        yield from _runs(piece, prompts, given, limits["words"], taken)
        yield from _lines(piece, prompts, given, taken)
        yield from _tasks(subject, piece, taken)


def _system_turns(request: Mapping[str, Any]) -> list[str]:
    turns = request.get("messages")
    own = [request.get(_SYSTEM)]
    if isinstance(turns, list | tuple):
        own += [turn.get("content") for turn in turns if isinstance(turn, Mapping) and turn.get("role") == _SYSTEM]
    return [one for one in own if isinstance(one, str) and one]


def _given(request: Mapping[str, Any]) -> list[str]:
    """Return the texts of the request that may be quoted: all but the turns of the system."""
    turns = request.get("messages")
    rest = {name: value for name, value in request.items() if name not in ("messages", _SYSTEM)}
    texts = list(reading.texts_in(rest))
    if isinstance(turns, list | tuple):
        texts += [
            text
            for turn in turns
            if isinstance(turn, Mapping) and turn.get("role") != _SYSTEM
            for text in reading.texts_in(turn.get("content"))
        ]
    return texts


def _runs(
    piece: Piece, prompts: Sequence[str], given: Sequence[str], fewest: int, taken: list[tuple[int, int]]
) -> Iterator[Broken]:
    """Yield runs of at least `fewest` words that are in a prompt and in no value of the request; add their places to `taken`."""
    if not prompts:
        return
    unspaced = piece.is_unspaced
    size = max(1, int(fewest)) * (2 if unspaced else 1)
    known = {run for text in prompts for run in _runs_of(reading.keys(text), size)}
    known -= {run for text in given for run in _runs_of(reading.keys(text), size)}
    if not known:
        return
    keys = piece.keys
    first = {run[0] for run in known}
    n = 0
    while n + size <= len(keys):
        if keys[n] not in first or tuple(keys[n : n + size]) not in known:
            n += 1
            continue
        last = n + size
        while last < len(keys) and tuple(keys[last - size + 1 : last + 1]) in known:
            last += 1
        start, end = piece.tokens[n][1], piece.tokens[last - 1][2]
        taken.append((start, end))
        message = f"{last - n} words in a row are those of the prompt: {shortened(piece.text[start:end])!r}"
        yield Broken(message, last - n, fewest, piece.place(start, end))
        n = last


def _lines(
    piece: Piece, prompts: Sequence[str], given: Sequence[str], taken: list[tuple[int, int]]
) -> Iterator[Broken]:
    """Yield lines of the output that equal a line of a prompt and are in no value of the request."""
    if not prompts:
        return
    lines = {
        " ".join(key)
        for text in prompts
        for line in text.splitlines()
        if len(key := reading.keys(line)) >= _FEWEST_OF_LINE
    }
    asked = " ".join(key for text in given for key in reading.keys(text))
    first = {line[0] for line in lines}
    position = 0
    for line in piece.text.splitlines(keepends=True):
        start, position = position, position + len(line)
        if not (_SHORTEST_LINE <= len(line) <= _LONGEST_LINE) or line.lstrip(_MARKS)[:1].casefold() not in first:
            continue
        words = " ".join(reading.keys(line))
        if words in lines and words not in asked and not _is_taken(start, position, taken):
            span = (start + len(line) - len(line.lstrip()), start + len(line.rstrip()))
            taken.append(span)
            yield Broken(f"{shortened(line.strip())!r} is a line of the prompt", None, None, piece.place(*span))


def _tasks(subject: Subject, piece: Piece, taken: Sequence[tuple[int, int]]) -> Iterator[Broken]:
    """Yield words that tell a model what to do, unless the request has such words: its source may be about such tasks."""
    severity = Severity.NOTE if subject.holds_prompt else None  # an answer may be about prompts
    first = piece.text.lstrip()
    line = first.partition("\n")[0][:_LONGEST_LINE]
    is_own = INSTRUCTION.search(subject.asked[: _LONGEST_LINE * 10]) or _has_numbers(subject, line)
    if INSTRUCTION.match(line) and not is_own:
        start = len(piece.text) - len(first)
        if not _is_taken(start, start + len(line), taken):
            taken = [*taken, (start, start + len(line))]
            where = piece.place(start, start + len(line))
            yield Broken(f"{shortened(line)!r} asks for a text", None, None, where, severity)
    folded = piece.prose.lower()
    if not any(sign in folded for sign in _TASK_SIGNS) or _TASK.search(subject.asked):
        return
    for found in _TASK.finditer(piece.prose):
        if not _is_taken(*found.span(), taken) and not _in_quotes(piece.text, *found.span()):
            message = f"{shortened(found[0])!r} tells a model what to do"
            yield Broken(message, None, None, piece.place(*found.span()), severity)


def _has_numbers(subject: Subject, line: str) -> bool:
    """Whether a translation has its numbers from its source, which then asks for a text itself: `150 characters or fewer`."""
    if not subject.source_language or not subject.source:
        return False
    numbers = _NUMBER.findall(line)
    return bool(numbers) and set(numbers) <= set(_NUMBER.findall(subject.source))


def _in_quotes(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    return before in tuple('"\u201c\u201e\u00ab\u300c') or after in tuple('"\u201d\u201c\u00bb\u300d')


def _is_taken(start: int, end: int, taken: Sequence[tuple[int, int]]) -> bool:
    return any(start < right and left < end for left, right in taken)


def _runs_of(keys: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(keys[n:] for n in range(size)), strict=False)


_NUMBER: Final = regex.compile(r"\d+")
_LONGEST_LINE: Final = 1_000
_SHORTEST_LINE: Final = 8
_MARKS: Final = ' \t#*_>-"\u201c\u201e'

CHECKS: Final = (
    Check(
        "echo",
        Severity.FAIL,
        "The output repeats the prompt: this many of its words in a row, a line of it, or words that tell a model what to do. "
        "Such words are only a note in a kind whose rows hold the whole prompt.",
        _find,
        {"words": 12},
        general=True,
    ),
)
