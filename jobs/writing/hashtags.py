"""Hashtags in a text that a model wrote: which are taken out whole, and which leave their word in the sentence.

A model's own hashtag is taken out whole. Only one that is a word of its sentence keeps the word, without its #, so that the
sentence stays whole: `Come to our #bakery.` becomes `Come to our bakery.`

- A tag that is no plain word never leaves its word: `#SundayBread`, `#bread2026`, `#our_bread`, `#パンlife`.
- Several tags side by side are a list of tags. They go, wherever they stand, and the label `Hashtags:` before them too.
- A single plain word at the end of a line goes, unless the sentence goes on to it: if a comma, a colon or a function word stands
  before it, or if the end mark of the sentence stands behind it. If the line has the word already, it goes all the same.
- A single plain word before the end of a line stays.

The request's own hashtags stay with their #.
"""

# ruff: noqa: RUF001 - marks of other scripts

from collections.abc import Callable, Collection, Iterator
from typing import Final

import regex

from jobs.writing.words.function_words import FUNCTION_WORDS
from jobs.writing.words.words import keys

_SIGN: Final = r"[\p{L}\p{M}\p{N}_\u00b7\u200c\u200d]"
_TAG: Final = rf"[#\uff03]{_SIGN}*?\p{{L}}{_SIGN}*+"
_START: Final = r"(?<![\p{L}\p{M}\p{N}_&/#\uff03])"

HASHTAG: Final = regex.compile(rf"{_START}[#\uff03]({_SIGN}*?\p{{L}}{_SIGN}*+)")
"""Matches a hashtag, which has at least one letter; group 1 is the hashtag without its #."""

_EACH: Final = regex.compile(_TAG)
_RUN: Final = regex.compile(rf"{_START}{_TAG}(?:[ \t\u3000]*+{_TAG})*+(?:[ \t\u3000]*+[,、，][ \t\u3000]*+{_TAG})*+")
"""Matches tags side by side. Behind the first ones, a comma may stand between them."""

_NO_WORD: Final = regex.compile(r"[\p{N}_]|\p{Ll}\p{M}*\p{Lu}|\p{Lu}{2}\p{Ll}{2}")
"""Matches what no plain word has: a digit, an underscore, or a capital within it."""
_SCRIPTS: Final = tuple(
    regex.compile(pattern)
    for pattern in (
        r"\p{Latin}",
        r"\p{Cyrillic}",
        r"\p{Greek}",
        r"\p{Arabic}",
        r"\p{Hebrew}",
        r"\p{Devanagari}",
        r"\p{Hangul}",
        r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    )
)
"""The scripts of which a word has only one. Chinese and Japanese count as one."""
_LABEL: Final = regex.compile(
    r"[\W_]*(?:suggested |relevant )?(?:hash[ -]?tags?|tags?|mots-dièses?|etiquetas|хэштеги|хештеги|теги|ハッシュタグ|タグ|"
    r"话题标签|標籤|标签|해시태그|هاشتاغ|وسوم|हैशटैग)[\W_]*",
    regex.IGNORECASE,
)
_WORDS: Final = regex.compile(r"[\p{L}\p{N}]")
_END_MARK: Final = regex.compile(r"[ \t]*+[.!?…。！？؟।]")
_AFTER_TAG: Final = regex.compile(rf"{_TAG}[\s,、，]*\Z")
"""Matches where a tag that stays ends the text before another one: both are in a list of tags."""
_OPENING: Final = ("(", "（", "[")
_CLOSING: Final = (")", "）", "]")
_JOINING: Final = frozenset(",;:_、，：；،")
_PARTICLES: Final = frozenset("はがをにでとのもやへ")
"""Particles of Japanese after which a sentence goes on."""
_FUNCTION_WORDS: Final = frozenset[str]().union(*FUNCTION_WORDS.values())


def without_hashtags(text: str, kept: Collection[str] = (), note: Callable[[str], None] | None = None) -> str:
    """Return the text without the model's own hashtags, as the module describes it.

    The hashtags in `kept` (casefolded, without #) are words of the text and stay. `note` is called with each part that is taken
    out. A line that held nothing else is left out.
    """
    lines = []
    for line in text.split("\n"):
        shorter = _without(line, kept, note or _forget)
        if shorter.strip() or shorter == line:
            lines.append(shorter)
    return "\n".join(lines)


def _without(line: str, kept: Collection[str], note: Callable[[str], None]) -> str:
    parts, place = list[str](), 0
    others = _RUN.sub(lambda run: "#" * len(run[0]), line)
    last_word = max((word.start() for word in _WORDS.finditer(others)), default=-1)
    for start, end in _runs(line, kept):
        before, tail = "".join([*parts, line[place:start]]), line[end:]
        tags = _EACH.findall(line[start:end])
        is_last = end > last_word
        if _stays(tags, line[start:end], before, tail, is_last):
            parts, place = [before, _EACH.sub(lambda tag: tag[0][1:], line[start:end])], end
            continue
        note(line[start:end])
        rest = tail
        if before.endswith(_OPENING) and rest.startswith(_CLOSING):
            before, rest = before[:-1], rest[1:]
        if not before.strip():
            rest = rest.lstrip(" \t")
        if not _WORDS.search(rest):
            before, rest = before.rstrip(" \t,、，"), rest.lstrip(" \t.")
        if not rest or rest[0] in " \t.,!?;:。、，！？" or not before:
            before = before.rstrip()
        if is_last and _LABEL.fullmatch(before):
            note(before)
            before = ""
        parts, place = [before], len(line) - len(rest)
        if before and rest[:1] not in ("", " ", "\t") and _WORDS.match(rest) and not before.endswith((" ", "\t")):
            parts.append(" ")
    return "".join([*parts, line[place:]]) if place else line


def _runs(line: str, kept: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of tags that are not kept."""
    for run in _RUN.finditer(line):
        start = end = -1
        for tag in _EACH.finditer(line, *run.span()):
            if tag[0][1:].casefold() in kept:
                if start >= 0:
                    yield start, end
                start = -1
            else:
                start, end = (tag.start() if start < 0 else start), tag.end()
        if start >= 0:
            yield start, end


def _stays(tags: list[str], run: str, before: str, tail: str, is_last: bool) -> bool:
    """Whether the tags of a run are words of their sentence."""
    names = [tag[1:] for tag in tags]
    if not all(map(_is_plain, names)):
        return False
    if len(names) > 1:
        listed = _EACH.sub("", run).count(",") == len(names) - 1  # `with #salt, #pepper and #oil`
        return listed and (not is_last or _leads_on(before))
    if not is_last:
        return True
    if _AFTER_TAG.search(before[-200:]):
        return False
    if names[0].casefold() in keys(before):
        return False
    last = before.rstrip()[-1:]
    return _leads_on(before) or (_END_MARK.match(tail) is not None and last.isalnum())


def _leads_on(before: str) -> bool:
    """Whether the text before a tag ends with a word or mark after which a sentence goes on."""
    before = before.rstrip()
    if before[-1:] in _JOINING or before[-1:] in _PARTICLES:
        return not _LABEL.fullmatch(before)
    words = before.split()
    return bool(words) and words[-1].casefold() in _FUNCTION_WORDS


def _is_plain(name: str) -> bool:
    """Whether a tag may be a word: it has no digit, underscore or capital within it, and letters of one script."""
    if _NO_WORD.search(name):
        return False
    return sum(script.search(name) is not None for script in _SCRIPTS) < 2


def _forget(part: str) -> None:
    del part
