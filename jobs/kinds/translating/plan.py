"""The plan of a translation: its units and their parts, what is asked of them, and how the answers become the whole text.

Parts with the same words are asked for once. Units that the memory of the row knows are not asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jobs.checks.checker import UNCHECKED, Checker
from jobs.errors import CheckFailed
from jobs.kinds.translating.memory import Memory, known_targets
from jobs.kinds.translating.parts import Part, UnitParts, last_sentence
from jobs.kinds.translating.questions import Question
from jobs.kinds.translating.request import TranslationRequest
from jobs.kinds.translating.units import Unit, units_of
from jobs.marks.damage import Damaged
from jobs.marks.mark import Mark


class Span(NamedTuple):
    """Where the answer to a question lies in the whole translation."""

    question: int
    start: int
    end: int


class Plan:
    """The plan of one row.

    Args:
        request: The request.
        memory: The memory of the row.
        checker: The checker of the row. What it refuses is not taken from the memory.
    """

    def __init__(self, request: TranslationRequest, memory: Memory, checker: Checker = UNCHECKED) -> None:
        self.request = request
        self.units: Sequence[Unit] = units_of(request)
        self.worded: Sequence[Unit] = [one for one in self.units if one.words]
        self.known = known_targets(memory, self.worded, request.source_language, request.target_language, checker)
        """Translations that need no question, by the number of their unit."""
        self.questions: list[Question] = []
        self._parts: dict[int, UnitParts] = {}
        self._numbers: dict[int, list[int | None]] = {}
        """Number of a unit -> the question of each of its parts; None for a part without words."""
        self._ask(memory)

    def _ask(self, memory: Memory) -> None:
        request = self.request
        asked: dict[tuple[str, tuple[Mark, ...]], int] = {}
        before = ""
        for n, unit in enumerate(self.worded):
            if n not in self.known:
                parts = UnitParts(unit, request.source_language, request.target_language)
                several = sum(one.is_asked for one in parts.parts) > 1
                self._parts[n], self._numbers[n] = parts, []
                for k, part in enumerate(parts.parts, 1):
                    number = asked.get((part.text, part.marks)) if part.is_asked else None
                    if part.is_asked and number is None:
                        name = f"segment {n + 1}, part {k}" if several else f"segment {n + 1}"
                        shown = part if part.before else Part(part.lead, part.text, part.tail, part.marks, before)
                        hint = None if several else memory.hint(unit.words)
                        number = asked[part.text, part.marks] = len(self.questions)
                        self.questions.append(Question(name, shown, "" if part.lead else unit.before, hint))
                    self._numbers[n].append(number)
            before = last_sentence(unit.words, unit.marks, request.source_language) if len(self.worded) > n + 1 else ""

    def targets(self, texts: Sequence[str]) -> list[str]:
        """Return the translation of each unit with words, given the answers to all questions."""
        return [self.known[n] if n in self.known else self._target(n, texts) for n in range(len(self.worded))]

    def _target(self, n: int, texts: Sequence[str]) -> str:
        try:
            return self._parts[n].write(self._texts(n, texts))
        except Damaged as error:
            raise CheckFailed("icu_invalid", f"segment {n + 1}: {error}", field="text") from error

    def _texts(self, n: int, texts: Sequence[str]) -> list[str]:
        parts = self._parts[n].parts
        return [
            part.text if number is None else texts[number] for part, number in zip(parts, self._numbers[n], strict=True)
        ]

    def alternatives(self, found: Mapping[int, Sequence[str]]) -> list[tuple[str, ...]]:
        """Return the next best translations of each unit with words, given those of the questions. Only a unit that is asked for
        in one part has some.
        """
        return [tuple(self._alternatives(n, found)) for n in range(len(self.worded))]

    def _alternatives(self, n: int, found: Mapping[int, Sequence[str]]) -> Iterator[str]:
        parts = self._parts.get(n)
        if parts is None or parts.is_message or len(parts.parts) > 1:
            return
        for text in found.get(number, ()) if (number := self._numbers[n][0]) is not None else ():
            yield parts.write([text])

    def text(self, targets: Sequence[str]) -> str:
        """Return the whole translation, given that of each unit with words."""
        rest = iter(targets)
        return "".join(unit.before + (next(rest) if unit.words else "") + unit.after for unit in self.units)

    def spans(self, texts: Sequence[str]) -> list[Span]:
        """Return where the answers lie in the whole translation, in their order."""
        found: list[Span] = []
        position, n = 0, 0
        for unit in self.units:
            position += len(unit.before)
            if unit.words:
                target = self.known[n] if n in self.known else self._target(n, texts)
                if n not in self.known:
                    places = self._parts[n].spans(self._texts(n, texts))
                    found += [
                        Span(number, position + start, position + end)
                        for number, (start, end) in zip(self._numbers[n], places, strict=True)
                        if number is not None
                    ]
                position += len(target)
                n += 1
            position += len(unit.after)
        return found
