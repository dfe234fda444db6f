"""Damage: what is wrong with the marks of a translation, told with the marks themselves or with the signs that hid them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.marks.mark import Mark

_LONGEST_SHOWN: Final = 120
_MOST_TOLD: Final = 3
"""A message names at most this many flaws."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One flaw. `clause` has `{}` in place of the marks, which stand side by side in the source."""

    clause: str
    marks: tuple[Mark, ...] = ()

    def told(self, name: Callable[[Mark], str]) -> str:
        """Return the clause with a name for each mark."""
        if not self.marks:
            return self.clause
        shown = "".join(dict.fromkeys(map(name, self.marks)))
        return self.clause.replace(
            "{}", repr(shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "…"), 1
        )

    def __str__(self) -> str:
        return self.told(lambda mark: mark.text)


class Damaged(ValueError):
    """A translation does not keep the marks of its source. `str()` says which, in one sentence."""

    def __init__(self, *flaws: Flaw | str) -> None:
        self.flaws: Sequence[Flaw] = [one if isinstance(one, Flaw) else Flaw(one) for one in flaws]
        super().__init__(self.told(lambda mark: mark.text))

    @property
    def marks(self) -> list[Mark]:
        """The marks that are damaged."""
        return [mark for one in self.flaws for mark in one.marks]

    def told(self, name: Callable[[Mark], str]) -> str:
        """Return what is wrong, with a name for each mark."""
        told = [one.told(name) for one in self.flaws[:_MOST_TOLD]]
        more = len(self.flaws) - len(told)
        return "; ".join(told) + (f"; and {more} more marks are damaged" if more else "")
