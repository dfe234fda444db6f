"""Reads the answer of a model as the translation of a part: takes off the words of the model that stand around it."""

import re
from typing import Final

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.writing.cleaning import Draft
from jobs.writing.evidence import Brief, Original, key_of, sentence_count
from jobs.writing.labels import TRANSLATION, label
from jobs.writing.prose import FENCE, sentences, whole_length

_NUMBERS: Final = re.compile(r"0*(\d{1,9})[.)]\s")
_WIDE_SPACE: Final = re.compile(r"[^\S\n]{2}|\t")
_ADDED_MARK: Final = re.compile(r"(?:[-*+>•]|#{1,6})\s+")


def target_of(name: str, source: str, before: str, prompt: Prompt, answer: Completion) -> tuple[str, list[str]]:
    """Return the translation of a part, and the pieces around the translation that were removed. If the source has one line, so
    has the translation.

    Args:
        name: What messages call the part, such as `segment 2`.
        source: The part as the model saw it, so with signs in place of its marks.
        before: What stands before the part on its line, such as the sign of a list, which the model may repeat.
        prompt: The prompt.
        answer: The answer to it.

    A label or quotes that the source has too are part of the translation. If the first paragraph may be the whole
    translation, the other paragraphs count as remarks. An answer that ended at max_tokens is cut to as many sentences as the
    source has. An answer that is the source is returned as it is. White space within a line stays where the source has more than
    single spaces. Raises CheckFailed if the answer is empty, or if it ended at max_tokens with fewer sentences.
    """
    if answer.text.strip() == source.strip() != "":
        return source, []
    original, draft = Original(source), Draft(answer.text)
    if not FENCE.match(source):
        draft.drop_fence()
    draft.drop_announcement(original, TRANSLATION)
    if not FENCE.match(source):
        draft.drop_fence()
        draft.drop_json(original, TRANSLATION)
    _drop_repeated_source(draft, source)
    _drop_remarks(draft, original, Brief(source), prompt)
    draft.drop_around(original, TRANSLATION)
    if _drop_repeated_marks(draft, before):
        draft.drop_around(original, TRANSLATION)
    if _ADDED_MARK.match(draft.text):
        draft.drop_mark(original)
    if not draft.text:
        raise CheckFailed("empty_output", f"the translation of {name} is empty", field="text")
    if answer.finish_reason == "length":
        count, found = sentence_count(source), sentences(draft.text)
        if len(found) < count:
            raise CheckFailed("output_incomplete", f"the translation of {name} was cut off", field="text")
        target = " ".join(found[:count])
        draft.note(" ".join(found[count:]) + draft.text[whole_length(draft.text) :])
        draft.text = target
    return draft.text, draft.removed


def _drop_repeated_marks(draft: Draft, before: str) -> bool:
    """Remove marks that repeat the line's own beginning, as in `1. One` after `1. `. Return whether there were any.

    The model sees only the words of the line, and may write the mark of a list again.
    """
    forms = [rf"\(?0*{number}(?:\\?[.):]|[\u3001\uff0e])(?!\d)\s*" for number in _NUMBERS.findall(before)]
    forms += [r"[-*+\u2022]\s+(?=\[[ xX]\]|\S)"] if set("-*+").intersection(before) else []
    forms += [rf"\{sign}+\s*" for sign in "#>" if sign in before]
    forms += [r"\[[ xX]\]\s+"] if "[" in before else []
    if not forms or (found := re.match(f"(?:{'|'.join(forms)})+", draft.text)) is None:
        return False
    if not any(map(str.isalnum, draft.text[found.end() :])):
        return False
    draft.cut_to(draft.text[found.end() :])
    return True


def _drop_repeated_source(draft: Draft, source: str) -> None:
    """If a line is labelled as the translation, and the lines before it repeat the source, take off these lines."""
    lines = draft.text.splitlines()
    starts = (n for n, line in enumerate(lines) if n and label(TRANSLATION).match(line))
    start = next(starts, 0)
    before, after = "\n".join(lines[:start]), "\n".join(lines[start:])
    if start and key_of(before).endswith(key_of(source)) and key_of(after) and key_of(source):
        draft.cut_to(after)


def _drop_remarks(draft: Draft, original: Original, brief: Brief, prompt: Prompt) -> None:
    """Join the paragraphs, to one line if the source has one. Paragraphs that only introduce the translation, and remarks after
    it, are taken off.
    """
    has_lines = "\n" in original.text
    within = "\n" if has_lines else " "
    tidied = str.strip if _WIDE_SPACE.search(original.text) else _with_single_spaces
    paragraphs = [
        within.join(tidied(line) for line in part.splitlines() if line.strip())
        for part in re.split(r"\n\s*\n", draft.text)
        if part.strip()
    ]
    while len(paragraphs) > 1:
        first, rest = paragraphs[0], within.join(paragraphs[1:])
        if not (
            brief.repeats(first, prompt) or original.is_introduced_by(first, rest) or _is_label(first, rest, original)
        ):
            break
        draft.note(paragraphs.pop(0))
    if len(paragraphs) > 1 and original.covered_by(*paragraphs[:2]):
        for remark in paragraphs[1:]:
            draft.note(remark)
        paragraphs = paragraphs[:1]
    draft.text = within.join(paragraphs)


def _with_single_spaces(line: str) -> str:
    return " ".join(line.split())


def _is_label(first: str, rest: str, original: Original) -> bool:
    """Whether the first paragraph is only a label (`Translation`) that the source does not have."""
    first = f"{first.strip(':')}:"
    return label(TRANSLATION).fullmatch(first) is not None and not original.explains(first, rest, TRANSLATION)
