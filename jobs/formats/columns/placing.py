"""Puts the values of a row into the fields that the user chose for them, and copies other columns into the metadata."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from jobs.did_you_mean import folded
from jobs.formats.columns.choice import ALL, METADATA, NONE, Columns
from jobs.formats.columns.names import field_of_header
from jobs.formats.columns.paths import ABSENT, key_of, value_at, without_path
from jobs.formats.json_lines import Finding
from jobs.formats.record import Record

_CACHED: Final = 2_000
"""At most this many names of columns are remembered, since each row of JSON Lines may have others."""

_CACHED_KINDS: Final = 50
"""At most this many kinds are remembered, since each row may name another kind, even one that does not exist."""


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
            kind = value_at(row, self._mapped["kind"], is_table=self._is_table)
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
            value = value_at(row, column, is_table=self._is_table)
            if value is not ABSENT:
                _put(result, field, value)
            rest = without_path(rest, column, is_table=self._is_table)
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
            if (value := value_at(row, name, is_table=self._is_table)) is not ABSENT:
                taken[key_of(row, name, is_table=self._is_table) or name] = value
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


def _put(result: Placed, field: str, value: Any) -> None:
    if field.startswith(METADATA):
        result.metadata[field.removeprefix(METADATA)] = value
    else:
        result.values[field] = value
