"""Reads what a model writes as a section of an article: its Markdown below a heading of the second level."""

import re
from collections.abc import Sequence
from typing import Final

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.writing.articles.headings import without_beginning
from jobs.writing.cleaning import MARKER, Draft
from jobs.writing.evidence import Brief, is_heading
from jobs.writing.labels import CHAPTER, HEADING, SECTION, TITLE
from jobs.writing.links.markdown_links import without_markdown_links
from jobs.writing.prose import FENCE, whole_sentences
from jobs.writing.words.words import words

_HEADING_LINE: Final = re.compile(r" {0,3}#{1,6}\s+")
_UNDERLINE: Final = re.compile(r"\s*(?:=+|-{2,})\s*")


def read_section(answer: Completion, heading: str, brief: Brief, prompt: Prompt) -> tuple[str, list[str]]:
    """Return the Markdown below the heading of a section, and the parts that were taken off.

    Further headings get the third level, and an open code fence is closed. Raises CheckFailed if the answer has no words, or if
    it was cut off and has no whole sentence.
    """
    draft = Draft(answer.text)
    draft.drop_announcement(brief, SECTION, HEADING, inline=False, unnamed=False)
    draft.drop_fence(of_text=True)
    draft.drop_json(brief, SECTION)
    lines, left_out = without_beginning(draft.text.splitlines(), heading, brief, prompt)
    for line in left_out:
        draft.note(line)
    draft.text = _markdown(lines, heading, brief, draft)
    if not words(draft.text):
        raise CheckFailed("empty_output", f"the section {heading!r} is empty")
    if answer.finish_reason == "length":
        draft.cut_to(whole_sentences(draft.text))
        if not words(draft.text):
            raise CheckFailed(
                "output_incomplete", f"the section {heading!r} was cut off before the end of its first sentence"
            )
    return _closed(draft.text), draft.removed


def _markdown(lines: Sequence[str], heading: str, brief: Brief, draft: Draft) -> str:
    """Return the lines of a section, with their headings at the third level. `draft` notes the headings that are left out.

    A heading is left out if no text stands before it, if it repeats the section's own heading, or if it is only a label or a
    number.
    """
    kept: list[str] = []
    fence = ""
    for line in map(str.rstrip, lines):
        mark = match[1] if (match := FENCE.match(line)) else ""
        if fence or mark:
            fence = "" if fence and line.strip() == fence else fence or mark
            kept.append(line)
        elif found := _HEADING_LINE.match(line):
            one = Draft(line[found.end() :])
            one.drop_around(brief, HEADING, CHAPTER, TITLE)
            if (
                any(kept)
                and is_heading(one.text, HEADING, TITLE)
                and one.text.rstrip(":").casefold() != heading.casefold()
            ):
                draft.removed.extend(one.removed)
                kept.append(f"### {one.text}")
            else:
                draft.note(line)
        elif not _UNDERLINE.fullmatch(line) and (line or (kept and kept[-1])):
            kept.append(line)
    return "\n".join(kept).strip()


def _closed(text: str) -> str:
    """Return the text. If its last code fence is open, the line that closes the fence is added."""
    fence = ""
    for line in text.splitlines():
        if match := FENCE.match(line):
            fence = "" if fence and line.strip() == fence else fence or match[1]
    return f"{text}\n{fence}" if fence else text


def first_paragraph(sections: Sequence[tuple[str, str]]) -> str:
    """Return the first paragraph of the article without its markup; the first heading if the paragraph is empty."""
    paragraph = sections[0][1].partition("\n\n")[0]
    lines = [line for line in paragraph.splitlines() if not FENCE.match(line)]
    unmarked = [line[found.end() :] if (found := MARKER.match(line)) else line for line in lines]
    plain = without_markdown_links(" ".join(unmarked))
    return " ".join(re.sub(r"[*`]", "", plain).split()) or sections[0][0]
