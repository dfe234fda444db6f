"""What stands around the sections of an article: title, description, and on request a summary and questions with answers.

All are asked for side by side, once the sections are written. A text that a check refuses is asked for again with what was
wrong. Title and description are brought to the lengths of their checks without a model: at the ends of words and sentences,
continued with headings and with the first sentences of the article. If the model wrote nothing that can be used, the topic
becomes the title, and the first paragraph the description.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from jobs.checks.checker import Checker
from jobs.findings import Finding
from jobs.generation import Completion, Prompt
from jobs.kinds.articles.sections import body_of
from jobs.writing.articles.headings import read_description, read_title
from jobs.writing.articles.questions import read_questions
from jobs.writing.articles.sections import first_paragraph
from jobs.writing.cleaning import MARKER
from jobs.writing.evidence import Brief
from jobs.writing.fitting import fitted_description, fitted_title
from jobs.writing.links.markdown_links import without_markdown_links
from jobs.writing.prose import FENCE, clipped, sentences
from jobs.writing.words.keywords import Reader, folded

MAX_META_DESCRIPTION: Final = 160
MAX_TITLE: Final = 120
"""A description and a title have at most this many characters each."""

TITLE: Final = "title"
DESCRIPTION: Final = "meta description"
SUMMARY: Final = "summary"
FAQ: Final = "faq"

_TOKENS: Final[Mapping[str, int]] = {TITLE: 40, DESCRIPTION: 70, SUMMARY: 120}
_TOKENS_OF_ANSWER: Final = 70
"""The most tokens of an answer by label; for `FAQ`, of each question with its answer."""


class Asked(Protocol):
    """The fields of an article's request that this module reads."""

    @property
    def topic(self) -> str: ...
    @property
    def keywords(self) -> Sequence[str]: ...
    @property
    def language(self) -> str: ...
    @property
    def summary(self) -> bool: ...
    @property
    def faq(self) -> int: ...


def most_tokens_of_heads(request: Asked) -> list[int]:
    """Return the most tokens of each answer that an article's request asks for beside its sections."""
    labels = [TITLE, DESCRIPTION, *[SUMMARY] * request.summary]
    return [*(_TOKENS[label] for label in labels), *[_TOKENS_OF_ANSWER * request.faq] * bool(request.faq)]


Ask = Callable[[str, int, int, Sequence[str]], Prompt]
"""Makes a prompt, given its label, the number of the try, its most tokens, and what was wrong with the answer before."""


@dataclass
class Heads:
    """Title, description, summary and questions of one article whose sections are written."""

    request: Asked
    sections: Sequence[tuple[str, str]]
    brief: Brief
    checker: Checker
    texts: dict[str, str] = field(default_factory=dict)
    questions: Sequence[tuple[str, str]] = ()
    removed: dict[str, Sequence[str]] = field(default_factory=dict)

    def written(self, ask: Ask) -> Generator[Sequence[Prompt], Sequence[Completion], None]:
        """Ask for the texts until no check refuses one, or the tries are over."""
        labels = [TITLE, DESCRIPTION, *[SUMMARY] * self.request.summary, *[FAQ] * bool(self.request.faq)]
        due: dict[str, Sequence[str]] = dict.fromkeys(labels, ())
        for number in range(1, self.checker.tries + 1):
            prompts = [ask(label, number, self._most_tokens(label), faults) for label, faults in due.items()]
            answers = yield prompts
            for label, prompt, answer in zip(list(due), prompts, answers, strict=True):
                self._read(label, prompt, answer)
            due = self._refused(list(due), [text for prompt in prompts for text in prompt.instructions])
            if not due:
                return
            for label in due:
                self.texts[label] = ""

    def _most_tokens(self, label: str) -> int:
        return _TOKENS_OF_ANSWER * self.request.faq if label == FAQ else _TOKENS[label]

    def _read(self, label: str, prompt: Prompt, answer: Completion) -> None:
        if label == FAQ:
            found, removed = read_questions(answer, self.brief)
            known = {folded(question) for question, _ in self.questions}
            new = {folded(question): (question, text) for question, text in found if folded(question) not in known}
            self.questions = [*self.questions, *new.values()][: self.request.faq]
        elif label == TITLE:
            self.texts[label], removed = read_title(answer, prompt, self.brief, self.request.language)
        else:
            self.texts[label], removed = read_description(answer, prompt, self.brief, self.request.language)
        self.removed[prompt.label] = removed

    def _refused(self, labels: Sequence[str], instructions: Sequence[str]) -> dict[str, Sequence[str]]:
        """Return what is wrong with the texts of these labels. Without checks, nothing is."""
        if not self.checker.checks:
            return {}
        # An announcement may be cut in half when a text is brought to its length, so the texts are judged before that too.
        fitted = self._output()
        as_written = {**fitted, **{label.replace(" ", "_"): text for label, text in self.texts.items() if text}}
        found = self.checker.faults(as_written, prompts=instructions)
        if fitted != as_written:
            found += self.checker.faults(fitted, prompts=instructions)
        refused = {label: _messages_about(label.replace(" ", "_"), found) for label in labels}
        if SUMMARY in labels and not self.texts.get(SUMMARY):
            refused[SUMMARY] = ["the summary is empty"]
        if FAQ in labels:
            self._keep_questions(found)
            if (count := len(self.questions)) < self.request.faq:
                lacking = f"there are {count} questions with answers, and {self.request.faq} are asked for"
                asked = "; ".join(question for question, _ in self.questions)
                refused[FAQ].append(f"{lacking}: write others than {asked}" if asked else lacking)
        return {label: faults for label, faults in refused.items() if faults}

    def _keep_questions(self, found: Sequence[Finding]) -> None:
        """Leave out the questions in which a check found a fault, so that only others are asked for again."""
        wrong = {one.where.field for one in found if one.where}
        self.questions = [pair for n, pair in enumerate(self.questions) if f"faq.{n}" not in wrong]

    def _output(self) -> Mapping[str, Any]:
        return {
            "title": self.title,
            "meta_description": self.description,
            "body_markdown": body_of(self.sections),
            "faq": [f"{question}\n{answer}" for question, answer in self.questions],
        }

    @property
    def title(self) -> str:
        """The title; if its length is checked, of the checked length, and if possible with the first keyword."""
        written = self.texts.get(TITLE, "")
        headline = clipped(written or self.request.topic, MAX_TITLE)
        limits = self.checker.limits("seo_title")
        return (limits and self._fitted_title(written, limits)) or headline

    def _fitted_title(self, written: str, limits: Mapping[str, Any]) -> str | None:
        keywords = self.request.keywords
        bases = [one for one in (written, self.request.topic) if one]
        bases += [f"{keyword[:1].upper()}{keyword[1:]}: {one}" for keyword in keywords[:1] for one in bases]
        headings = [re.sub(r"[*_`]{2,}|`", "", heading) for heading, _ in self.sections]
        more = [*keywords, self.request.topic, *headings, *_plain_sentences(first_paragraph(self.sections))]
        found = [
            fitted
            for base in bases
            if (
                fitted := fitted_title(
                    base,
                    least=limits["least"],
                    most=min(limits["most"], MAX_TITLE),
                    keywords=keywords,
                    language=self.request.language,
                    more=more,
                )
            )
        ]
        reader = Reader(keywords[:1], self.request.language)
        return next((one for one in found if all(reader.counts(one))), next(iter(found), None))

    @property
    def description(self) -> str:
        """The description; if its length is checked, of the checked length."""
        paragraph = first_paragraph(self.sections)
        written = self.texts.get(DESCRIPTION, "") or paragraph
        limits = self.checker.limits("meta_description")
        fitted = None
        if limits:
            texts = (paragraph, *(text for _, text in self.sections))
            fitted = fitted_description(
                written,
                least=limits["least"],
                most=min(limits["most"], MAX_META_DESCRIPTION),
                keywords=self.request.keywords,
                language=self.request.language,
                more=[sentence for text in texts for sentence in _plain_sentences(text)],
            )
        return fitted or clipped(written, MAX_META_DESCRIPTION)

    @property
    def summary(self) -> str | None:
        """The summary, if it was asked for; the first paragraph if the model wrote none that can be used."""
        if not self.request.summary:
            return None
        return self.texts.get(SUMMARY) or first_paragraph(self.sections)


def _messages_about(name: str, found: Sequence[Finding]) -> list[str]:
    """Return what is wrong with a field, or with the texts of a list, each fault once."""
    about = [one for one in found if one.where and one.where.field.partition(".")[0] == name]
    return list(dict.fromkeys(one.message for one in about))


def _plain_sentences(text: str) -> list[str]:
    """Return the sentences of a section's paragraphs, without headings, lists, tables and code."""
    lines = [line for line in text.splitlines() if line and not MARKER.match(line) and not FENCE.match(line)]
    return sentences(without_markdown_links(re.sub(r"[*`]", "", " ".join(lines))))
