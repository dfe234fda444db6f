"""The choice of columns says from which column a field is taken, and which other columns are copied into the metadata."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ALL: Final = ("metadata", "*")
"""Values of `--extra` that take all other columns along."""

NONE: Final = "none"
"""The value of `--extra` that leaves all other columns out."""

METADATA: Final = "metadata."
"""The column `metadata.NAME` of a table is the value NAME of the metadata."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The user's choice of columns.

    Attributes:
        fields: Pairs of a field and the column that it is taken from.
        extra: The columns that are taken along in the metadata: names, or one value of `ALL`, or `NONE`. All other columns are
            left out. If `extra` is empty, another column is refused as an unknown field. A column that `extra` names is no
            field of its own name; `fields` may still take a field from it.
        header: The names of a CSV's columns. They stand for a missing header, or replace the header.
        header_row: The line of a CSV's header, from 1. With `header`, the rows begin after this line.
    """

    fields: tuple[tuple[str, str], ...] = ()
    extra: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    header_row: int | None = None

    @property
    def are_of_csv(self) -> bool:
        """Whether an option is given that only applies to a CSV."""
        return bool(self.header) or self.header_row is not None

    @property
    def named(self) -> Sequence[str]:
        """The columns that the options name, without those of `ALL` and `NONE`."""
        return [*(column for _, column in self.fields), *(name for name in self.extra if name not in (*ALL, NONE))]

    def __bool__(self) -> bool:
        return bool(self.fields or self.extra)


NO_CHOICE: Final = Columns()
"""No option is given: a column is the field of its name."""
