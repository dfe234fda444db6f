"""Columns: puts the values of a row into the fields that the user chose, and takes other columns along in the metadata.

A column is a column of a table, or a key of a JSON object; `product.title` is a key within another key. The options `--map`,
`--extra`, `--header` and `--header-row` choose the columns. Without them a column is the field of the same name. In tables,
whose headers people write, case, spaces and signs of a name do not count.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from jobs.did_you_mean import did_you_mean, folded
from jobs.errors import RequestError
from jobs.formats.json_lines import Finding
from jobs.formats.record import Record

ALL: Final = ("metadata", "*")
"""Values of `--extra` that take all other columns along."""
NONE: Final = "none"
"""The value of `--extra` that leaves all other columns out."""
METADATA: Final = "metadata."
"""The column `metadata.NAME` of a table is the value NAME of the metadata."""

_CACHED: Final = 2_000
"""At most this many names of columns are remembered, since each row of JSON Lines may have others."""
_CACHED_KINDS: Final = 50
"""At most this many kinds are remembered, since each row may name another kind, even one that does not exist."""
_SHOWN_NAMES: Final = 20
"""A message lists at most this many columns."""
_ABSENT: Final = object()


class Fields(Protocol):
    """The fields that rows may have. The JSON schema of a field decides how its cells are read."""

    @property
    def known(self) -> Collection[str]:
        """The names of the fields of all kinds."""
        ...

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        """Return field -> JSON schema, for rows of the kind `name`. The name None is for rows that name no kind."""
        ...

    def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
        """Return a sentence that names the fields of rows of a kind, and how to take them from these columns."""
        ...


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


class Placed(NamedTuple):
    """The values of a row by field.

    Attributes:
        kind: The kind that the row names; None if it names none.
        values: Field -> value.
        metadata: Further values for the metadata, besides the values of a field `metadata`.
        names: Field -> the name of its column, if the two differ.
        extra: The columns that `--extra` took along.
    """

    kind: str | None
    values: dict[str, Any]
    metadata: dict[str, Any]
    names: dict[str, str]
    extra: Sequence[str]


def merged(values: dict[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any] | Finding:
    """Return the values of a row with further metadata; a Finding if the row's metadata has one of the names already."""
    given = values.get("metadata")
    if not metadata or not (given is None or isinstance(given, dict)):
        return values
    if twice := sorted(metadata.keys() & (given or {}).keys()):
        message = "the metadata has this name already, and another column has it too: rename one of them"
        return Finding("duplicate_key", f"metadata.{twice[0]}", message)
    values["metadata"] = {**(given or {}), **metadata}
    return values


class Placer:
    """Places the values of the rows of one file.

    Args:
        columns: The choice of columns.
        fields: The fields that rows may have.
        is_table: Whether the names come from a table's header. In such names, case, spaces and signs do not count.
    """

    def __init__(self, columns: Columns, fields: Fields, *, is_table: bool) -> None:
        self._columns = columns
        self._fields = fields
        self._is_table = is_table
        self._mapped = dict(columns.fields)
        self._schemas: dict[str | None, Mapping[str, Any]] = {}
        self._targets: dict[str | None, dict[str, str | None]] = {}
        self._known: dict[str, str | None] = {}
        self._takes_all = any(name in ALL for name in columns.extra)
        self._extra = [name for name in columns.extra if name not in (*ALL, NONE)]

    def schemas(self, kind: str | None) -> Mapping[str, Any]:
        """Return field -> JSON schema for rows of a kind."""
        if kind not in self._schemas:
            if len(self._schemas) >= _CACHED_KINDS:
                self._schemas.clear()
            self._schemas[kind] = self._fields.of_kind(kind)
        return self._schemas[kind]

    def field_of(self, name: str) -> str | None:
        """Return the field, of any kind, that a column of this name stands for; None if it stands for no field."""
        if not self._is_table:
            return name if name in self._fields.known and name not in self._extra else None
        if name not in self._known:
            if len(self._known) >= _CACHED:
                self._known.clear()
            is_extra = name in self._extra or folded(name) in map(folded, self._extra)
            self._known[name] = None if is_extra else field_of_header(name, self._fields.known)
        return self._known[name]

    def kind_of(self, row: Mapping[str, Any]) -> str | None:
        """Return the kind that a row names; None if it names none."""
        if "kind" in self._mapped:
            kind = _at(row, self._mapped["kind"], is_table=self._is_table)
        else:
            names = ("kind",) if "kind" in row or not self._is_table else row
            kind = next((row.get(name) for name in names if self.field_of(name) == "kind"), None)
        return kind.strip() or None if isinstance(kind, str) else None

    def placed(self, row: Mapping[str, Any]) -> Placed | Finding:
        """Return the values of a row by field. `row` is column -> value."""
        kind = self.kind_of(row)
        result = Placed(kind, {}, {}, dict(self._mapped), ())
        rest = row
        for field, column in self._columns.fields:
            value = _at(row, column, is_table=self._is_table)
            if value is not _ABSENT:
                _put(result, field, value)
            rest = _without(rest, column, is_table=self._is_table)
        others: dict[str, Any] = {}
        targets = self._targets_of(kind)
        for name, value in rest.items():
            target = targets[name] if name in targets else self._target(name, kind)
            if target is None or target in result.values:
                others[name] = value
            elif target.startswith(METADATA):
                result.metadata[target.removeprefix(METADATA)] = value
            else:
                result.values[target] = value
                if target != name:
                    result.names[target] = name
        return self._with_others(result, row, others)

    def _targets_of(self, kind: str | None) -> dict[str, str | None]:
        """Return column -> field, for the columns that rows of a kind had so far."""
        if len(self._targets) >= _CACHED_KINDS:
            self._targets.clear()
        return self._targets.setdefault(kind, {})

    def _target(self, name: str, kind: str | None) -> str | None:
        """Return the field that a column stands for by its name, or `metadata.NAME`; None if rows of this kind have no such
        field.
        """
        if self._is_table and name[: len(METADATA)].casefold() == METADATA:
            return METADATA + name[len(METADATA) :]
        own = self.schemas(kind)
        field = self.field_of(name)
        target = None if field not in own or field in self._mapped else field
        targets = self._targets_of(kind)
        if len(targets) >= _CACHED:
            targets.clear()
        targets[name] = target
        return target

    def _with_others(self, result: Placed, row: Mapping[str, Any], others: Mapping[str, Any]) -> Placed | Finding:
        """Place the columns that stand for no field, as `--extra` says."""
        if not self._columns.extra:
            others = {name: value for name, value in others.items() if value is not None}
            if twice := sorted(others.keys() & (result.values.keys() | self._mapped.keys())):
                column = self._mapped.get(twice[0]) or result.names.get(twice[0])
                message = (
                    f"{twice[0]} is taken from {column!r}: --extra metadata takes this column along,"
                    " --extra none leaves it out"
                )
                return Finding("unknown_field", twice[0], message)
            result.values.update(others)
            return result
        taken = dict(others) if self._takes_all else {}
        for name in self._extra:
            if (value := _at(row, name, is_table=self._is_table)) is not _ABSENT:
                taken[_key(row, name, is_table=self._is_table) or name] = value
        if twice := sorted(taken.keys() & result.metadata.keys()):
            message = "the metadata has this name already: rename the column, or leave it out of --extra"
            return Finding("duplicate_key", twice[0], message)
        result.metadata.update(taken)
        return result._replace(extra=tuple(taken))


def placed_records(records: Iterable[Record], columns: Columns, fields: Fields, *, is_table: bool) -> Iterator[Record]:
    """Yield records whose values are placed. The records of a table have its columns as the keys of their values."""
    placer = Placer(columns, fields, is_table=is_table)
    for record in records:
        if isinstance(record.values, Finding):
            yield record
            continue
        placed = placer.placed(record.values)
        values = placed if isinstance(placed, Finding) else merged(placed.values, placed.metadata)
        if isinstance(placed, Finding) or isinstance(values, Finding):
            yield record._replace(values=values, custom_id=record.values.get("custom_id"))
        else:
            names = record.columns or tuple(record.values)
            yield record._replace(values=values, names_in_file=placed.names, extra=placed.extra, columns=names)


def field_of_header(name: str, known: Collection[str]) -> str | None:
    """Return the field that a column of a table stands for by its name; None if there is none. A name in quotes is never a
    field.
    """
    if name[:1] in ("'", '"', "`"):
        return None
    return name if name in known else _folds(frozenset(known)).get(folded(name))


@lru_cache(maxsize=8)
def _folds(known: frozenset[str]) -> Mapping[str, str]:
    """Return folded name -> name. If several names differ only in case, spaces and signs, they are left out."""
    counts = Counter(map(folded, known))
    return {folded(name): name for name in known if folded(name) and counts[folded(name)] == 1}


def check_columns(names: Sequence[str], columns: Columns) -> None:
    """Raise RequestError if the options name a column that a table does not have."""
    for option, wanted in (
        *((f"--map {field}={column}", column) for field, column in columns.fields),
        *((f"--extra {name}", name) for name in columns.extra if name not in (*ALL, NONE)),
    ):
        if find_column(wanted, names) is None and find_column(wanted.partition(".")[0], names) is None:
            like = did_you_mean(wanted, names) or "."
            raise RequestError(
                f"{option}: the file has no column {wanted!r}{like} Its columns are {listed(names)}; nothing was accepted"
            )


def find_column(wanted: str, names: Iterable[str]) -> str | None:
    """Return the name that equals `wanted`, else the only name that differs in nothing but case, spaces and signs; else None."""
    names = list(names)
    if wanted in names:
        return wanted
    if not folded(wanted):
        return None
    same = [name for name in names if folded(name) == folded(wanted)]
    return same[0] if len(same) == 1 else None


def rows_within(name: str) -> str:
    """Return the message about an object that holds the rows in a list of this name."""
    path = f".{name}" if name.isidentifier() and name.isascii() else f'."{name}"'
    return f"it is a list of objects, which may be the rows: jq -c '{path}[]' FILE writes each on a line of its own"


def listed(names: Iterable[str]) -> str:
    """Return names as a list for a message: at most `_SHOWN_NAMES` names, long ones cut."""
    names = [name if len(name) <= 40 else name[:39] + "\N{HORIZONTAL ELLIPSIS}" for name in names]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    shown = (" ".join(name.split()) for name in names[:_SHOWN_NAMES])
    return ", ".join(f'"{name}"' if "," in name else name for name in shown) + more


def _put(result: Placed, field: str, value: Any) -> None:
    if field.startswith(METADATA):
        result.metadata[field.removeprefix(METADATA)] = value
    else:
        result.values[field] = value


def _key(holder: Mapping[str, Any], name: str, *, is_table: bool) -> str | None:
    """Return the key of this name. In a table, case, spaces and signs do not count."""
    return name if name in holder else find_column(name, holder) if is_table else None


def _at(row: Any, path: str, *, is_table: bool) -> Any:
    """Return the value at a path such as `product.title` or `variants.0.price`; `_ABSENT` if there is none or it is null."""
    if isinstance(row, Mapping) and (key := _key(row, path, is_table=is_table)) is not None:
        return _ABSENT if row[key] is None else row[key]
    head, dot, rest = path.partition(".")
    while dot:
        inner = _step(row, head, is_table=is_table)
        if inner is not _ABSENT and (found := _at(inner, rest, is_table=False)) is not _ABSENT:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    if isinstance(row, list) and path.isdecimal() and path.isascii() and int(path) < len(row):
        return _ABSENT if row[int(path)] is None else row[int(path)]
    return _ABSENT


def _step(row: Any, head: str, *, is_table: bool) -> Any:
    if isinstance(row, list):
        return row[int(head)] if head.isdecimal() and head.isascii() and int(head) < len(row) else _ABSENT
    if not isinstance(row, Mapping) or (key := _key(row, head, is_table=is_table)) is None:
        return _ABSENT
    return row[key]


def _without(row: Mapping[str, Any], path: str, *, is_table: bool) -> Mapping[str, Any]:
    """Return the row without the value at a path, and without objects that are empty then. A list stays as it is."""
    if (key := _key(row, path, is_table=is_table)) is not None:
        return {name: value for name, value in row.items() if name != key}
    head, dot, rest = path.partition(".")
    while dot:
        key = _key(row, head, is_table=is_table)
        if key is not None and isinstance(row[key], dict):
            left = _without(row[key], rest, is_table=False)
            if left is not row[key]:
                return {name: left if name == key else value for name, value in row.items() if name != key or left}
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return row
