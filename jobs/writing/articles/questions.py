"""Reads questions with answers, as models write them: with or without labels, numbers, headings and emphasis."""

# ruff: noqa: RUF001 - letters of other scripts

import re
from typing import Final

from jobs.generation import Completion
from jobs.writing.cleaning import MARKER, Draft
from jobs.writing.evidence import Brief
from jobs.writing.labels import SECTION
from jobs.writing.prose import sentences, whole_sentences

_LABEL: Final = re.compile(
    r"(?:Q(?:uestion)?|F(?:rage)?|Pregunta|P|Domanda|D|В(?:опрос)?|問|问)\s{0,2}\d{0,2}\s{0,2}[:.)\uff1a]\s*",
    re.IGNORECASE,
)
_ANSWER: Final = re.compile(
    r"(?:A(?:nswers?|ntwort)?|R(?:esponse|éponse|espuesta|isposta|esposta)?|О(?:твет)?|答え?)\s{0,2}\d{0,2}\s{0,2}[:.)\uff1a]\s*",
    re.IGNORECASE,
)
_LEFT_LABEL: Final = re.compile(
    r"(?:^|[.!?\u2026:]\s+)(?:(?:[QA]|Questions?|Answers?|Frage|Antwort|Pregunta|Respuesta|Réponse|Domanda|Risposta|"
    r"Вопрос|Ответ)\s{0,2}\d{0,2}\s{0,2}[:\uff1a]|(?:Response|Output)\s{0,2}[:\uff1a]\s*(?-i:[A-Z]))",
    re.IGNORECASE,
)
"""Matches a label at the beginning of a text or of a sentence. `Vitamin A: what it does` and `Output: 3 litres` have none."""
_ENDS: Final = ("?", "\uff1f", "\u061f", "\u037e", ";")
"""The marks with which a question ends: Latin, full-width, Arabic, and the two forms of the Greek one."""


def read_questions(answer: Completion, brief: Brief) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the questions with their answers, and the parts that were left out.

    A line that ends with a question mark, or has the label of a question, is a question; what follows up to the next question is
    its answer. A question without an answer, and an answer that was cut off before the end of its first sentence, are left out,
    and so is a pair in which a label of a model stays, or whose answer only asks.
    """
    draft = Draft(answer.text)
    draft.drop_announcement(brief, SECTION, inline=False, unnamed=False)
    draft.drop_fence(of_text=True)
    pairs: list[tuple[str, list[str]]] = []
    for line in draft.text.splitlines():
        plain = _plain(line)
        question, _, rest = _split(plain)
        if question:
            pairs.append((question, [rest] if rest else []))
        elif plain and pairs:
            pairs[-1][1].append(_ANSWER.sub("", plain, count=1) if _ANSWER.match(plain) else plain)
        elif plain:
            draft.note(line)
    found = [(question, " ".join(lines).strip()) for question, lines in pairs]
    if answer.finish_reason == "length" and found:
        question, text = found[-1]
        found[-1] = question, whole_sentences(text)
    kept = [(question, text) for question, text in found if _is_answered(question, text)]
    for question, text in found:
        if (question, text) not in kept:
            draft.note(f"{question} {text}".strip())
    return kept, draft.removed


def _is_answered(question: str, answer: str) -> bool:
    """Whether an answer says something, and no label of a model is left in the pair: `Q: What fits? A: Q: What fits?`."""
    if not answer or any(_LEFT_LABEL.search(text) for text in (question, answer)):
        return False
    return not all(sentence.rstrip("\"'\u00bb\u201d)] ").endswith(_ENDS[:4]) for sentence in sentences(answer))


def _plain(line: str) -> str:
    """Return a line without the marks of lists, headings and emphasis."""
    text = line.strip()
    if mark := MARKER.match(text):
        text = text[mark.end() :]
    return re.sub(r"\*\*|__", "", text).strip()


def _split(line: str) -> tuple[str, str, str]:
    """Return question, separator and the rest of a line that holds a question; three empty texts for any other line."""
    label = _LABEL.match(line)
    text = line[label.end() :] if label else line
    ends = [text.find(mark) for mark in _ENDS[:3] if mark in text]
    if ends and not _ANSWER.match(line):
        end = min(ends) + 1
        rest = text[end:].strip()
        if label or not rest or _ANSWER.match(rest):
            return text[:end].strip(), "", _ANSWER.sub("", rest, count=1) if _ANSWER.match(rest) else rest
    if label and text and text[-1] in _ENDS:
        return text, "", ""
    return "", "", ""
