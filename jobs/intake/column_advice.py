"""Advice about columns: finds the field that an unknown column may mean, and says how to take it along or leave it out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from jobs.did_you_mean import did_you_mean, folded, nearest, same_name
from jobs.formats.columns.names import listed, rows_within
from jobs.formats.json_lines import Finding
from jobs.formats.record import Record
from jobs.printable import shell_word

OTHERS: Final = "--extra metadata takes other columns along, --extra none leaves them out"

_ALIKE: Final = 0.75
"""A column counts as a misspelling of a field if their likeness is at least this. `Price` and `topic` have 0.6."""

_MAIN: Final = ("topic", "text", "prompt", "source_text")
"""The main fields of the shipped kinds. Every row of these kinds needs one of the fields, or turns."""
_INDEX: Final = ("Unnamed: 0", "__index_level_0__", "level_0", "Unnamed: 0.1")
"""Names of the column that pandas writes for the index of a data frame."""

_MEANINGS: Final[Mapping[str, Sequence[str]]] = {
    "custom_id": (
        *("id", "sku", "handle", "key", "identifier", "uid", "uuid", "guid", "asin", "ref", "reference", "slug"),
        *("variantsku", "itemsku", "sellersku", "productid", "listingid", "itemid", "postid", "rowid", "stringid"),
        *("msgctxt", "stringkey", "entry", "number", "no", "nr"),
    ),
    "topic": (
        *("title", "name", "productname", "producttitle", "itemname", "posttitle", "pagetitle", "headline", "subject"),
        *("keyword", "query", "topqueries", "searchterm", "idea", "theme", "product", "titel", "thema"),
    ),
    "text": (
        *("source", "sourcetext", "sourcestring", "original", "english", "string", "value", "msgid", "en", "enus"),
        *("content", "body", "message", "description", "caption", "post"),
    ),
    "source_text": ("source", "content", "body", "article", "text", "caption", "message", "post", "description"),
    "prompt": ("question", "input", "instruction", "text", "message", "query"),
    "keywords": ("tags", "keyword", "searchterms", "generickeywords"),
    "hashtags": ("tags",),
    "platform": ("network", "channel", "socialnetwork", "profile", "socialmedia", "service"),
    "target_language": ("language", "lang", "locale", "to", "target"),
    "source_language": ("from", "sourcelocale"),
    "language": ("lang", "locale"),
    "target_words": ("words", "wordcount", "length"),
    "audience": ("readers", "targetaudience"),
    "link": ("url", "permalink"),
    "model": ("engine",),
}
"""Field -> other names for its column, as files have them, in lower case without spaces and signs; the likeliest name first."""


def field_for(column: str, fields: Iterable[str]) -> str | None:
    """Return the field that a column may mean: the field of this name, else a field for whose column files use this name, else
    the field with the most similar name.
    """
    fields = list(fields)
    meant = [field for field in fields if folded(column) in _MEANINGS.get(field, ())]
    return same_name(column, fields) or next(iter(meant), None) or nearest(column.casefold(), fields, _ALIKE)


def column_for(field: str, columns: Iterable[str]) -> str | None:
    """Return the column that a field may be taken from; None if no name means the field."""
    names = {folded(column): column for column in reversed(list(columns))}
    if folded(field) in names:
        return names[folded(field)]
    return next((names[meaning] for meaning in _MEANINGS.get(field, ()) if meaning in names), None)


def suggested(columns: Sequence[str], fields: Iterable[str], needed: Sequence[str]) -> str:
    """Return `--map` options that take the main fields of a kind from these columns; an example if no column's name means one
    of these fields.
    """
    fields = list(fields)
    main = [field for field in dict.fromkeys((*needed, *_MAIN)) if field in fields]
    pairs = {field: column for field in main if (column := column_for(field, columns)) is not None}
    if not pairs:
        pairs = {(main or ["FIELD"])[0]: "COLUMN"}
    return " ".join(f"--map {quoted(f'{field}={column}')}" for field, column in list(pairs.items())[:3])


def of_fields(kind: str, needed: Sequence[str], fields: Sequence[str], columns: Sequence[str]) -> str:
    """Return a sentence that names the fields of a kind, and how to take them from these columns."""
    others = [column for column in columns if same_name(column, fields) is None]
    given = {same_name(column, fields) for column in columns}
    first = sorted(fields, key=lambda name: (name not in needed, name not in _MAIN))
    names = ", ".join(f"{name} (needed)" if name in needed else name for name in first)
    lacking = [name for name in fields if name not in given]
    example = suggested(others, lacking, [name for name in needed if name in lacking])
    return f"The fields of {kind} are {names}. Say which column is which, such as {example}; {OTHERS}"


def quoted(text: str) -> str:
    """Return an argument as it is typed in a shell."""
    return text if all(sign.isalnum() or sign in "=._-:" for sign in text) else shell_word(text)


def advised(findings: Sequence[Finding], record: Record, kind: str, fields: Iterable[str]) -> list[Finding]:
    """Return the findings of a row. Findings about unknown and missing fields get advice. `fields` are the fields of the row's
    kind.
    """
    if isinstance(record.values, Finding):
        return list(findings)
    unknown = {f.field for f in findings if f.code == "unknown_field" and f.field in record.values}
    lacks = any(finding.code == "missing_field" for finding in findings)
    if lacks and (wrapped := next((name for name in unknown if name and _are_rows(record.values[name])), None)):
        return [Finding("unknown_field", wrapped, rows_within(wrapped))]
    free = [field for field in fields if field not in record.values]
    advised = []
    for finding in findings:
        code, field, _ = finding
        if code == "unknown_field" and field in unknown and field is not None:
            finding = finding._replace(message=_of_unknown(field, kind, free))  # noqa: PLW2901
        elif code == "missing_field" and field is not None and field in record.names_in_file:
            message = _of_absent(record.names_in_file[field], field, record.columns)
            finding = finding._replace(message=message)  # noqa: PLW2901
        elif code == "missing_field" and unknown and (field is None or "." not in field):
            message = finding.message if field is None else f"{kind} needs it"
            columns = record.columns or list(record.values)
            others = [column for column in columns if column in unknown or column not in record.values]
            way = suggested(others, free, [field] if field else [])
            message = f"{message}, and the row has {listed(others[:8])}: {way} takes it from there"
            finding = finding._replace(message=message)  # noqa: PLW2901
        advised.append(finding)
    return advised


def _of_absent(column: str, field: str, columns: Sequence[str]) -> str:
    if column in columns:
        return f"the row has nothing in {column!r}, from which --map takes {field}: fill it in, or leave the row out"
    return f"the row has no {column!r}, from which --map takes {field}{did_you_mean(column, columns)}"


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _of_unknown(column: str, kind: str, free: Sequence[str]) -> str:
    if column in _INDEX:
        return f"it looks like the index of a data frame: write the file without it (index=False), or give --extra none; {OTHERS}"
    if column.startswith("Unnamed: "):
        return f"a column without a name has a cell with text: name the column, or empty the cell; {OTHERS}"
    meant = field_for(column, free)
    if meant is None:
        return f"{kind} has no such field: remove or rename it; {OTHERS}"
    return f"{kind} has no such field: did you mean {meant}? Then --map {quoted(f'{meant}={column}')}; {OTHERS}"
