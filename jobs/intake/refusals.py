"""Refusals: the errors for a file that makes no batch because of its rows."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.errors import RequestError
from jobs.intake.row_faults import RowFault

SHOWN_GROUPS: Final = 20
"""At most this many groups of faults are shown."""
_LINES: Final = 5
"""A group names at most this many lines."""
_GROUPS: Final = 1_000
"""At most this many groups are kept, since each row may have a fault in another field."""


@dataclass
class FaultGroup:
    """The faults with the same code and field: their number, the lines of the first faults, and the first message."""

    code: str
    field: str | None
    message: str
    count: int = 0
    lines: list[int] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        rest = self.count - len(self.lines)
        lines = ", ".join(map(str, self.lines)) + (f" and {rest:,} more" if rest else "")
        place = f" ({self.field})" if self.field else ""
        return f"{self.count:,} x {self.code}{place}, line{'s' * (self.count != 1)} {lines}: {self.message}"


class FaultGroups:
    """Groups faults as they come, in bounded memory. If there are `_GROUPS` groups, a fault that needs another group is not
    counted.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str | None], FaultGroup] = {}

    def add(self, fault: RowFault) -> None:
        """Count a fault."""
        key = (fault.code, fault.field)
        if key not in self._groups:
            if len(self._groups) >= _GROUPS:
                return
            self._groups[key] = FaultGroup(fault.code, fault.field, fault.message)
        group = self._groups[key]
        group.count += 1
        if len(group.lines) < _LINES:
            group.lines.append(fault.line)

    def largest_first(self) -> Sequence[FaultGroup]:
        """Return the groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)


class RowsRefused(RequestError):
    """A file was refused because of its rows. The message has several lines.

    Attributes:
        faults: The faults of the first refused rows.
        total: The number of refused rows.
    """

    has_lines = True

    def __init__(self, message: str, faults: Sequence[RowFault], total: int) -> None:
        super().__init__(message)
        self.faults = faults
        self.total = total


class StrictRefused(RowsRefused):
    """A file with bad lines was refused, as `strict` asks."""

    def __init__(self, faults: Sequence[RowFault], total: int) -> None:
        more = [f"and {total - len(faults):,} more"] if total > len(faults) else []
        head = f"{total:,} bad line{'s' * (total != 1)}, nothing was accepted:"
        super().__init__("\n".join([head, *(str(fault) for fault in faults), *more]), faults, total)


class AllRefused(RowsRefused):
    """Every row of a file was refused, so it made no batch.

    Attributes:
        groups: The faults by code and field, the largest group first.
    """

    def __init__(self, faults: Sequence[RowFault], total: int, groups: Sequence[FaultGroup], advice: str = "") -> None:
        what = "the only row was refused" if total == 1 else f"all {total:,} rows were refused"
        left = total - sum(group.count for group in groups[:SHOWN_GROUPS])
        more = [f"  and {left:,} rows with other faults"] if left else []
        lines = [f"{what}, nothing was accepted:", *(f"  {group}" for group in groups[:SHOWN_GROUPS]), *more]
        super().__init__("\n".join([*lines, *([advice] if advice else [])]), faults, total)
        self.groups = groups
