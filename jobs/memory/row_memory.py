"""What the memory gives to one row: known segments, and hints for the others. It travels with the row, so that each attempt at
the row reads the same.

    known = {"Save": {"target": "Sichern", "by": "editor", "prompt_tokens": 0, "completion_tokens": 0}}
    hints = {"Save all": {"source": "Save", "target": "Sichern", "similarity": 0.5}}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.memory.entry import Entry
from jobs.usage import Remembered

Known = Mapping[str, Mapping[str, Any]]
Hints = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Hint:
    """A similar segment and its translation."""

    source: str
    target: str
    similarity: float


@dataclass
class RowMemory:
    """The memory of one attempt at a row. A kind asks it for segments, and says which of them it takes.

    `known` is None if the row was not looked up; then nothing is counted.
    """

    known: Known | None = None
    hints: Hints = field(default_factory=dict)
    _taken: list[str] = field(default_factory=list)
    _segments: int = 0

    def target(self, segment: str) -> str | None:
        """Return the known translation of a segment; None if there is none."""
        found = (self.known or {}).get(segment)
        target = found.get("target") if found else None
        return target if isinstance(target, str) and target else None

    def hint(self, segment: str) -> Hint | None:
        """Return a similar segment and its translation; None if there is none."""
        found = self.hints.get(segment)
        return Hint(found["source"], found["target"], found["similarity"]) if found else None

    def report(self, segments: int, taken: Sequence[str]) -> None:
        """Say how many segments the row has, and which of them were taken from the memory, each as often as it was."""
        self._segments, self._taken = segments, list(taken)

    @property
    def is_used(self) -> bool:
        """Whether the kind took a segment from it."""
        return bool(self._taken)

    def without_known(self) -> "RowMemory":
        """Return the memory of the same row with hints alone, so that all its segments are asked for."""
        return RowMemory({}, self.hints)

    @property
    def remembered(self) -> Remembered | None:
        """What the memory answered and saved; None if the row was not looked up.

        A segment that occurs twice is counted twice, and its tokens too, since it would have been asked for twice.
        """
        if self.known is None:
            return None
        found = [self.known[one] for one in self._taken]
        tokens = (sum(int(one.get(name, 0)) for one in found) for name in ("prompt_tokens", "completion_tokens"))
        return Remembered(self._segments, len(found), *tokens)


class _Nothing(RowMemory):
    """The memory of a row that was not looked up. All such rows share it, so it counts nothing."""

    def report(self, segments: int, taken: Sequence[str]) -> None:
        pass


NOTHING_KNOWN: Final = _Nothing()


def as_known(entry: Entry) -> dict[str, Any]:
    """Return an entry as a row carries it."""
    return {
        "target": entry.target,
        "by": entry.origin,
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
    }


def as_hint(entry: Entry, similarity: float) -> dict[str, Any]:
    """Return a similar entry as a row carries it. The similarity is rounded down to hundredths."""
    return {"source": entry.source, "target": entry.target, "similarity": int(similarity * 100) / 100}


def as_published(known: Known, output: Mapping[str, Any] | None) -> Known:
    """Return the known segments that a published output has in this translation. The others were asked for: a check refused them,
    or the row was sent back.
    """
    segments = (output or {}).get("segments") or ()
    published = {(one.get("source"), one.get("target")) for one in segments}
    return {source: one for source, one in known.items() if (source, one.get("target")) in published}


def of_editors(known: Known) -> Known:
    """Return what editors wrote. A row that was sent back takes nothing else from the memory, since it is to be done anew."""
    return {source: one for source, one in known.items() if one.get("by") == "editor"}
