"""Headings: reads an outline, a title or a description in a completion.

Each function returns what it found, and the parts of the completion that it left out. A heading is never a label alone, a number
alone, or an instruction of the prompt.
"""

import re
from collections.abc import Sequence
from typing import Final

from jobs.generation import Completion, Prompt
from jobs.writing.cleaning import MARKER, Draft
from jobs.writing.evidence import Brief, ends_in_colon, is_heading, key_of
from jobs.writing.json_answers import is_json_like
from jobs.writing.labels import (
    ANNOUNCES,
    CHAPTER,
    DESCRIPTION,
    HEADING,
    INTRODUCTION,
    TITLE,
    announcement,
    label,
    label_alone,
)
from jobs.writing.prose import whole_sentences
from jobs.writing.words.words import primary

_ORDINAL_LANGUAGES: Final = frozenset(
    "bs cs da de et fi fo hr hu is la lb lt lv nb nn no pl sk sl sr tr".split()  # noqa: SIM905 - a list of codes
)
"""Languages that write ordinal numbers with a full stop: `2. Weltkrieg` is no second item of a list."""

MAX_LINES: Final = 200
"""At most this many lines of a completion are read as headings."""

_TITLE_LABELS: Final = (TITLE, HEADING, DESCRIPTION, INTRODUCTION)
_EMPHASIS: Final = re.compile(r"(\*\*|__)(?=\S)([^*_\n]{1,200})(?<=\S)\1")
_NUMBER: Final = re.compile(r"\W{0,2}(\d{1,2})[.):]")
_LAST_MARKS: Final = " .,;:\u3001\u3002\uff1a\uff1b"


def read_outline(
    answer: Completion, prompt: Prompt, brief: Brief, sections: int, longest: int, language: str = "en"
) -> tuple[tuple[str, ...], list[str]]:
    """Return at most `sections` different headings of at most `longest` characters, in their order; an empty tuple if there is
    no heading.

    If enough lines have a number, or a mark, the other lines are left out.
    """
    draft = _begun(answer, brief, HEADING, TITLE)
    lines = _lines(draft)
    if len(lines) == 1:
        lines = [line.strip() for line in lines[0].split(";")]
    if answer.finish_reason == "length" and len(lines) > 1:
        draft.note(lines.pop())
    marked_first = sum(MARKER.match(line) is not None for line in lines) > 0
    all_with_colon = sum(ends_in_colon(line) for line in lines) * 2 > len(lines)
    ordinals = _may_be_ordinals(language, lines) and any(_NUMBER.match(line) is None for line in lines)
    found: list[tuple[int, str, Draft]] = []
    for n, line in enumerate(lines):
        one = Draft(line)
        one.drop_around(brief, HEADING, CHAPTER, TITLE, INTRODUCTION, ordinals=ordinals)
        heading = one.text.rstrip(_LAST_MARKS)
        rank = 2 if _NUMBER.match(line) else 1 if MARKER.match(line) else 0
        announces = rank == 0 and ends_in_colon(line) and (marked_first or (n == 0 and not all_with_colon))
        fits = (2 if heading < "\u2e80" else 1) <= len(heading) <= longest
        announces = announces or _is_announcement(line, brief, HEADING)
        if announces or not fits or not is_heading(heading, HEADING, TITLE) or brief.repeats(line, prompt):
            draft.note(line)
        else:
            found.append((rank, heading, one))
    return _chosen(draft, found, sections), draft.removed


def _unmarked(line: str) -> str:
    """Return a line of plain text without the marks of strong emphasis within it."""
    return _EMPHASIS.sub(r"\2", line)


def _chosen(draft: Draft, found: Sequence[tuple[int, str, Draft]], sections: int) -> tuple[str, ...]:
    least = 0
    for rank in (2, 1):
        if len({heading.casefold() for own, heading, _ in found if own >= rank}) >= sections:
            least = rank
            break
    headings: dict[str, str] = {}
    for rank, heading, one in found:
        if rank >= least and heading.casefold() not in headings and len(headings) < sections:
            headings[heading.casefold()] = heading
            draft.removed.extend(one.removed)
        elif heading.casefold() not in headings:
            draft.note(heading)
    return tuple(headings.values())


def read_title(answer: Completion, prompt: Prompt, brief: Brief, language: str) -> tuple[str, list[str]]:
    """Return the first line that can be a title; an empty text if there is none."""
    draft = _begun(answer, brief, TITLE, HEADING)
    lines = _lines(draft)
    if answer.finish_reason == "length" and lines:
        draft.note(lines.pop())
    title = ""
    for line in lines:
        one = Draft(line)
        one.drop_count(brief)
        one.drop_around(brief, TITLE, HEADING, INTRODUCTION, ordinals=_may_be_ordinals(language, lines))
        one.drop_count(brief)
        plain = _unmarked(one.text).rstrip(" :\uff1a")
        other = label(DESCRIPTION).match(line) or (len(lines) > 1 and _announces(line))
        unfit = not is_heading(plain, *_TITLE_LABELS) or brief.repeats(line, prompt)
        if title or other or unfit or _is_announcement(line, brief, TITLE):
            draft.note(line)
        else:
            title = plain
            draft.removed.extend(one.removed)
    return title, draft.removed


def read_description(answer: Completion, prompt: Prompt, brief: Brief, language: str) -> tuple[str, list[str]]:
    """Return the first paragraph that can be a description; an empty text if there is none.

    A paragraph that is labelled as a description comes before all others. A sentence that was cut off is left out.
    """
    draft = _begun(answer, brief, DESCRIPTION)
    labelled = label(DESCRIPTION)
    lines = [line.strip() for line in draft.text.splitlines()]
    start = next((n for n, line in enumerate(lines) if labelled.match(line)), 0)
    while start < len(lines) - 1 and _precedes_description(lines[start], brief, prompt):
        start += 1
    end = next((n for n in range(start, len(lines)) if not lines[n]), len(lines))
    for line in (*lines[:start], *lines[end:]):
        draft.note(line)
    one = Draft("\n".join(lines[start:end]), draft.removed)
    ordinals = _may_be_ordinals(language, lines)
    one.drop_count(brief)
    one.drop_around(brief, DESCRIPTION, TITLE, INTRODUCTION, ordinals=ordinals)
    if not is_heading(one.text, *_TITLE_LABELS) or brief.repeats(one.text, prompt):
        one.cut_to("")
    if answer.finish_reason == "length":
        one.cut_to(whole_sentences(one.text))
    return one.text, draft.removed


def without_beginning(lines: Sequence[str], heading: str, brief: Brief, prompt: Prompt) -> tuple[list[str], list[str]]:
    """Return a section's lines, and the lines that were left out: those at the beginning that repeat the heading or the prompt.

    A list item that has the words of the heading stays if another item follows.
    """
    start = 0
    while start < len(lines) and (
        not lines[start].strip()
        or _repeats_heading(lines[start : start + 3], heading, brief)
        or _leads(lines[start], brief, prompt, HEADING)
    ):
        start += 1
    return list(lines[start:]), list(lines[:start])


def _precedes_description(line: str, brief: Brief, prompt: Prompt) -> bool:
    other = label(TITLE).match(line) is not None or _is_announcement(line, brief, DESCRIPTION)
    return other or _leads(line, brief, prompt, DESCRIPTION)


def _repeats_heading(lines: Sequence[str], heading: str, brief: Brief) -> bool:
    one = Draft(lines[0])
    one.drop_around(brief, HEADING, CHAPTER, TITLE, ordinals=False)
    if key_of(one.text) != key_of(heading):
        return False
    following = next((line for line in lines[1:] if line.strip()), "")
    return lines[0].lstrip().startswith("#") or not (MARKER.match(lines[0].strip()) and MARKER.match(following.strip()))


def _leads(line: str, brief: Brief, prompt: Prompt, family: str) -> bool:
    """Whether a line before a text is no part of it: blank, a label alone, or the prompt again."""
    only_label = any(map(str.isalnum, line)) and label_alone(TITLE, family).fullmatch(line) is not None
    return not line.strip() or only_label or brief.repeats(line, prompt)


def _is_announcement(line: str, brief: Brief, family: str) -> bool:
    """Whether a line is only an announcement, with or without its colon: `Sure!`, `Here is the title`."""
    found = announcement(family).fullmatch(f"{line.rstrip(' .!:')}:")
    if found is None or not (found["interjection"] or found["named"] or found["pronoun"]):
        return False
    return not brief.explains(line, "", family)


def _announces(line: str) -> bool:
    """Whether a line announces what follows: `Here are some titles:`, `A title for the article:`."""
    if not ends_in_colon(line):
        return False
    return ANNOUNCES.match(line) is not None or re.search(rf"\b(?:{TITLE})s?\b", line, re.IGNORECASE) is not None


def _begun(answer: Completion, brief: Brief, *families: str) -> Draft:
    draft = Draft(answer.text)
    draft.drop_json(brief, *families, beside_words=True)
    draft.drop_fence()
    draft.drop_announcement(brief, *families)
    draft.drop_fence()
    if is_json_like(draft.text) and not brief.explains_json():
        draft.cut_to("")
    return draft


def _lines(draft: Draft) -> list[str]:
    """Return the lines that are not blank, at most `MAX_LINES`."""
    lines = [line.strip() for line in draft.text.splitlines() if line.strip()]
    draft.note("\n".join(lines[MAX_LINES:]))
    return lines[:MAX_LINES]


def _may_be_ordinals(language: str, lines: Sequence[str]) -> bool:
    """Whether a number with a full stop may be an ordinal: the language writes ordinals this way, and the lines are no numbered
    list.
    """
    numbers = [int(found[1]) for line in lines if (found := _NUMBER.match(line.strip()))]
    numbered = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return not numbered and primary(language) in _ORDINAL_LANGUAGES
