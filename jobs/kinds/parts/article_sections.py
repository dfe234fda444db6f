"""The sections of an article while they are written: asked for side by side, mended, and asked for again where they broke.

A section is a list of passages. The first passage is what the model wrote as the section. If the article is too short, or lacks a
keyword, sections get further passages that continue them. A passage that has no words, or that a check refuses, is asked for
again; the prompt then says what was wrong. What needs no model is mended without one: a sentence that stands twice is cut, and so
are the last sentences of an article that is too long.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Final

from jobs.checks.checker import Checker
from jobs.checks.cutting import without_findings, without_last_sentence
from jobs.errors import CheckFailed
from jobs.findings import Finding
from jobs.generation import Completion, Prompt
from jobs.writing.articles.sections import first_paragraph, read_section
from jobs.writing.asking_again import label_of_try
from jobs.writing.evidence import Brief
from jobs.writing.words.keywords import Reader
from jobs.writing.words.words import UNSPACED_LANGUAGES, primary, words

LEAST_WORDS: Final = 30
"""A passage is asked for with at least this many words, since models seldom write fewer."""

_OF_THE_WHOLE: Final = frozenset({"words_off_target", "keyword_use", "headings", "sections"})
"""Findings about the article as a whole: no passage is asked for again because of them."""

Ask = Callable[["Passage", str], Prompt]
"""Makes the prompt for a passage, given the text of its section before it."""


@dataclass
class Passage:
    """A text of a section, and what is known of it. `text` is None until an answer could be read.

    `continues` is true for a passage that was added to a section, and `opens` for one that was put before the article's first.
    """

    label: str
    heading: str
    words: int
    must_use: Sequence[str] = ()
    continues: bool = False
    opens: bool = False
    tries: int = 0
    text: str | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether the passage must be asked for, for the first time or again."""
        return self.text is None or bool(self.faults)


class Sections:
    """Writes the sections of one article below the given headings. The article should have `target` words."""

    def __init__(
        self,
        headings: Sequence[str],
        target: int,
        keywords: Sequence[str],
        language: str,
        brief: Brief,
        checker: Checker,
    ) -> None:
        self._target = target
        self._keywords = keywords
        self._language = language
        self._brief = brief
        self._checker = checker
        self._focus = Reader(keywords[:1], language)
        self._prompts: list[str] = []
        self.removed: dict[str, list[str]] = {}
        count = len(headings)
        self._sections = [
            [Passage(f"section {n + 1}", heading, max(LEAST_WORDS, target // count), keywords[n::count])]
            for n, heading in enumerate(headings)
        ]

    def written(self, ask: Ask) -> Generator[Sequence[Prompt], Sequence[Completion], Sequence[tuple[str, str]]]:
        """Ask for all passages until none is due, and return heading and text of each section.

        Raises CheckFailed if no try for a section could be read.
        """
        while due := [(section, one) for section in self._sections for one in section if one.is_due]:
            prompts = []
            for section, passage in due:
                passage.tries += 1
                prompts.append(ask(passage, _text_of(section[: section.index(passage)])))
            self._prompts += [text for prompt in prompts for text in prompt.instructions]
            answers = yield prompts
            for (_, passage), prompt, answer in zip(due, prompts, answers, strict=True):
                self._read(passage, prompt, answer)
            if all(passage.text is not None for section in self._sections for passage in section):
                self._review()
        return self._texts()

    def _read(self, passage: Passage, prompt: Prompt, answer: Completion) -> None:
        """Read an answer. Raises CheckFailed if the answer to the last try for the first passage of a section has no words."""
        passage.faults = []
        try:
            passage.text, removed = read_section(answer, passage.heading, self._brief, prompt)
        except CheckFailed as error:
            if passage.tries < self._checker.tries:
                passage.text = None
            elif passage.continues:
                passage.text = ""
            else:
                raise
            if self._checker.checks:
                passage.faults = [error.message] if passage.text is None else []
            return
        if removed:
            self.removed[prompt.label] = removed

    def _review(self) -> None:
        """Mend what can be mended, and mark passages as due whose text broke its contract."""
        if not self._checker.checks:
            return
        found = self._cut(self._faults())
        for one in found:
            for passage in self._blamed(one):
                if passage.tries < self._checker.tries:
                    passage.faults.append(one.message)
                elif passage.continues:
                    passage.text = ""
        if any(passage.is_due for section in self._sections for passage in section):
            return
        if self._open():
            return
        self._trim()
        self._continue()

    def _faults(self) -> list[Finding]:
        found = self._checker.faults({"body_markdown": body_of(self._texts())}, prompts=self._prompts)
        return [one for one in found if one.code not in _OF_THE_WHOLE]

    def _cut(self, found: Sequence[Finding]) -> Sequence[Finding]:
        """Cut the sentences of findings, and return the findings that are left."""
        changed = False
        for section, passage, start in self._places():
            shorter, cut = without_findings(passage.text or "", found, start, self._language)
            if cut and (shorter or len(section) > 1):
                passage.text, changed = shorter, True
                self.removed.setdefault(label_of_try(passage.label, passage.tries), []).extend(cut)
        return self._faults() if changed else found

    def _places(self) -> Iterator[tuple[list[Passage], Passage, int]]:
        """Yield each passage that has a text, with its section and with its position in the body."""
        position = 0
        for section in self._sections:
            position += len(f"## {section[0].heading}\n\n")
            for passage in section:
                if passage.text:
                    yield section, passage, position
                    position += len(passage.text) + len("\n\n")

    def _blamed(self, found: Finding) -> Iterator[Passage]:
        """Yield the passage in which a finding lies. A finding without a place lies where the same check finds a fault alone."""
        where = found.where if found.where and found.where.field == "body_markdown" else None
        for _, passage, start in self._places():
            text = passage.text or ""
            if where is not None and where.end - where.start < len(body_of(self._texts())):
                if start <= where.start < start + len(text):
                    yield passage
            elif any(one.code == found.code for one in self._checker.faults({"body_markdown": text})):
                yield passage

    def _limits(self) -> tuple[int, int] | None:
        """Return the least and the most words of the article; None if they are not checked."""
        limits = self._checker.limits("words_off_target")
        if limits is None or primary(self._language) in UNSPACED_LANGUAGES:
            return None
        room = self._target * limits["off_percent"] / 100
        return max(1, ceil(self._target - room)), floor(self._target + room)

    def _trim(self) -> None:
        """Cut last sentences of the longest sections while the article has too many words."""
        limits = self._limits()
        if limits is None:
            return
        least, most = limits
        while (count := len(words(body_of(self._texts())))) > most:
            for passage in sorted(self._passages(), key=lambda one: len(words(one.text or "")), reverse=True):
                shorter, cut = without_last_sentence(passage.text or "", self._language)
                if cut and count - len(words(cut)) >= least:
                    passage.text = shorter
                    self.removed.setdefault(label_of_try(passage.label, passage.tries), []).append(cut)
                    break
            else:
                return

    def _passages(self) -> list[Passage]:
        return [passage for section in self._sections for passage in section if passage.text]

    def _continue(self) -> None:
        """Add passages where the article is too short or lacks a keyword; at most `max_regenerations` to a section."""
        body = body_of(self._texts())
        limits = self._limits()
        short = self._target - len(words(body)) if limits is not None and len(words(body)) < limits[0] else 0
        room = self._target - limits[0] if limits is not None else 0
        missing = self._missing(body)
        open_to = [section for section in self._sections if len(section) <= self._checker.max_regenerations]
        share = self._target / len(self._sections)
        shortest = sorted(open_to, key=lambda section: len(words(_text_of(section))))
        for section in shortest:
            if short <= (0 if section is shortest[0] else room) and not missing:
                return
            wanted = share - len(words(_text_of(section)))
            count = round(min(short, max(wanted, LEAST_WORDS))) if short > 0 else LEAST_WORDS
            main = next(passage for passage in section if not passage.continues)
            label = f"{main.label}, more{f' {len(section)}' if len(section) > 1 else ''}"
            section.append(Passage(label, section[0].heading, max(LEAST_WORDS, count), missing[:2], continues=True))
            short, missing = short - count, missing[2:]

    def _open(self) -> bool:
        """Put a passage before the first one if the first paragraph must have the first keyword and lacks it; once.

        Returns whether a passage was added.
        """
        limits, first = self._checker.limits("keyword_use"), self._sections[0]
        if limits is None or limits["focus"] < 1 or not self._keywords or any(passage.opens for passage in first):
            return False
        if self._checker.max_regenerations < 1 or any(self._focus.counts(first_paragraph(self._texts()))):
            return False
        first.insert(
            0, Passage("opening", first[0].heading, LEAST_WORDS, self._keywords[:1], continues=True, opens=True)
        )
        return True

    def _missing(self, body: str) -> Sequence[str]:
        """Return the keywords that do not occur, if this is checked."""
        if not self._keywords or self._checker.limits("keyword_use") is None:
            return ()
        counts = Reader(self._keywords, self._language).counts(body)
        return [keyword for keyword, count in zip(self._keywords, counts, strict=True) if not count]

    def _texts(self) -> list[tuple[str, str]]:
        return [(section[0].heading, _text_of(section)) for section in self._sections]


def body_of(sections: Sequence[tuple[str, str]]) -> str:
    """Return the Markdown of sections, each below its heading of the second level."""
    return "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections)


def _text_of(passages: Sequence[Passage]) -> str:
    return "\n\n".join(passage.text for passage in passages if passage.text)
