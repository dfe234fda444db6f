"""Reads the options that choose columns: `--map`, `--extra`, `--header` and `--header-row`."""

import csv
import io
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from jobs.did_you_mean import did_you_mean, same_name
from jobs.errors import RequestError
from jobs.formats.columns.choice import ALL, METADATA, NONE, Columns

_FORM: Final = "give it as FIELD=COLUMN, such as topic=Title, or as @FILE"


def columns_of(
    mapped: Mapping[str, str] | Iterable[str] = (),
    extra: str | Iterable[str] = (),
    header: str | Sequence[str] = (),
    header_row: int | None = None,
) -> Columns:
    """Return the choice of columns.

    Args:
        mapped: Field -> column; or texts `FIELD=COLUMN`, or `@FILE` for a file of TOML.
        extra: The columns that are taken along: names, in a text separated by commas; or `metadata`, `*` or `none`.
        header: The names of the columns, in a text separated by commas.
        header_row: The line of the header, from 1.

    Raises RequestError if an option is wrong.
    """
    pairs = list(mapped.items()) if isinstance(mapped, Mapping) else [pair for text in mapped for pair in _pairs(text)]
    fields = [field for field, _ in pairs]
    for field, column in pairs:
        if not isinstance(column, str) or not column.strip() or not field.strip():
            raise RequestError(f"--map {field}={column}: {_FORM}")
    if twice := next((field for field in fields if fields.count(field) > 1), None):
        raise RequestError(f"--map {twice}=... is given twice: remove one of them")
    if header_row is not None and header_row < 1:
        raise RequestError(f"--header-row {header_row}: lines count from 1")
    names = _split([header]) if isinstance(header, str) else list(header)
    if names and not any(names):
        raise RequestError("--header: give the names of the columns, such as topic,keywords")
    taken = dict.fromkeys(name for name in _split([extra] if isinstance(extra, str) else extra) if name)
    if len(taken) > 1 and (word := next((name for name in taken if name in (*ALL, NONE)), None)):
        raise RequestError(f"--extra {word} stands alone: leave the other columns out")
    return Columns(tuple((field, column.strip()) for field, column in pairs), tuple(taken), tuple(names), header_row)


def typed(columns: Columns) -> dict[str, str | None]:
    """Return each given option as text, for the id of the batch. In place of `@FILE`, the text has the content of the file."""
    values = {
        "map": dict(columns.fields),
        "extra": columns.extra,
        "header": columns.header,
        "header_row": columns.header_row,
    }
    return {name: orjson.dumps(value).decode() if value else None for name, value in values.items()}


def checked_fields(columns: Columns, known: Iterable[str]) -> Columns:
    """Return the choice, with each field in its correct spelling. Raises RequestError if a field of `--map` does not exist."""
    known = list(known)
    fields: dict[str, str] = {}
    for given, column in columns.fields:
        field = given if given.startswith(METADATA) else same_name(given, known)
        if field is None:
            turned = same_name(column, known)
            like = f": did you mean {turned}={given}?" if turned else did_you_mean(given, known)
            raise RequestError(f"--map {given}={column}: no kind has a field {given!r}{like}")
        if field in fields:
            raise RequestError(f"--map {field}=... is given twice: remove one of them")
        fields[field] = column
    return Columns(tuple(fields.items()), columns.extra, columns.header, columns.header_row)


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the field and the column of `FIELD=COLUMN`, or all pairs in the file of `@FILE`."""
    if text.startswith("@"):
        yield from _flat(_file(text[1:]))
        return
    field, equals, column = text.partition("=")
    if not equals:
        raise RequestError(f"--map {text}: {_FORM}")
    yield field.strip(), column


def _file(name: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(Path(name).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RequestError(f"--map @{name}: {error.strerror or error}: check its name and rights") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f'--map @{name} is not TOML: {error}: a line of it is FIELD = "COLUMN"') from None


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the pairs of a TOML table. Pairs of the table `metadata` within it have the field `metadata.NAME`."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _split(texts: Iterable[str]) -> list[str]:
    """Split texts at commas. A name with a comma stands in quotes, as in a CSV."""
    return [cell.strip() for text in texts for cell in next(csv.reader(io.StringIO(text), skipinitialspace=True), [])]
