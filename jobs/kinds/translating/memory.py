"""What a translation memory gives to the kind: translations of known units, and a similar unit as a hint for the others."""

from collections.abc import Sequence
from typing import Protocol

from jobs.checks.checker import Checker
from jobs.checks.signs.icu import IcuError, parse
from jobs.kinds.translating.units import Unit
from jobs.marks.damage import Damaged
from jobs.marks.keeping import check_whole, sure_marks


class Hint(Protocol):
    """A similar unit and its translation."""

    @property
    def source(self) -> str: ...

    @property
    def target(self) -> str: ...


class Memory(Protocol):
    """The memory of one row. The kind asks it for units by their words, and says which it took."""

    def target(self, segment: str) -> str | None:
        """Return the known translation of a unit; None if there is none."""
        ...

    def hint(self, segment: str) -> Hint | None:
        """Return a similar unit with its translation; None if there is none."""
        ...

    def report(self, segments: int, taken: list[str]) -> None:
        """Take note of how many units the row has, and of those that were taken, each as often as it stands there."""
        ...


class Forgetful:
    """The memory of a row that was not looked up."""

    def target(self, segment: str) -> str | None:
        return None

    def hint(self, segment: str) -> Hint | None:
        return None

    def report(self, segments: int, taken: list[str]) -> None:
        pass


def known_targets(memory: Memory, units: Sequence[Unit], source: str, target: str, checker: Checker) -> dict[int, str]:
    """Return the known translations of units by number. One is not taken if it does not keep the marks of its unit, or if a check
    refuses it.

    Args:
        memory: The memory of the row.
        units: The units, all with words.
        source: The language of the source.
        target: The language of the translation.
        checker: The checker of the row.
    """
    found: dict[int, str] = {}
    for n, unit in enumerate(units):
        text = memory.target(unit.words)
        if text is None or not text.strip():
            continue
        try:
            if unit.is_message:
                if _arguments(text) != _arguments(unit.words):
                    continue
            else:
                check_whole(text, unit.marks, sure_marks(unit.words, unit.marks, source), target)
        except (Damaged, IcuError):
            continue
        if not checker.faults({"text": text}, request={"text": unit.words}):
            found[n] = text
    memory.report(len(units), [units[n].words for n in found])
    return found


def _arguments(message: str) -> set[str]:
    """Return the names of the arguments of an ICU message. Raises IcuError."""
    return {one.name for one in parse(message).walk()}
