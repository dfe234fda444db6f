"""Finds the documents that a command names: files, folders and patterns such as `docs/**/*.md`.

The name of a document is its path below the folder that all places have in common, so that translated files keep their folders. A
folder gives its files whose names tell their format, without hidden ones and without JSON, YAML and tables: these hold
configuration and data as often as messages, so they are named one by one, or with the format.
"""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from jobs.documents.batches.names import fault_of_name
from jobs.documents.document import DocumentFormat
from jobs.documents.registry import FORMATS, format_named, format_of
from jobs.errors import RequestError
from jobs.formats.json_lines import BOM

HEAD_BYTES: Final = 1 << 16
"""The format of a document is recognised by at most this many of its first bytes."""

_ROWS: Final = (".jsonl", ".parquet")
"""Files with these names hold rows."""
TABLES: Final = (".csv", ".tsv", ".tab")
"""Files with these names hold rows, or are string tables."""
_UNCERTAIN: Final = (".json", ".yml", ".yaml", ".xlsx", ".xlsm", *TABLES, *_ROWS)
"""Files with these names are left out of a folder, unless the format says otherwise."""
_HEADER: Final = re.compile(r"""(?:^|[,;\t|"'])\s*text\s*(?:$|[,;\t|"'\r])""", re.IGNORECASE)
"""Matches the header of a table of rows to translate, which has the column `text`."""
_OF_ROWS: Final = frozenset({"kind", "custom_id", "source_language", "target_language", "body", "model"})


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document: its name, its path or URL or `-`, and its format."""

    name: str
    place: str
    form: DocumentFormat


def find_documents(
    places: Sequence[str], form: str | None, *, is_translation: bool, has_target: bool
) -> Sequence[FoundDocument] | None:
    """Return the documents at these places, in the order of their names; None if the one place holds rows.

    Args:
        places: Paths of files or folders, patterns of paths, URLs of files, or `-`.
        form: The name of the format of all documents; None for that of each name and content.
        is_translation: Whether the rows are to be translations, so that a JSON file may be a catalogue.
        has_target: Whether target languages are named, so that a CSV may be a string table too.

    Raises:
        RequestError: A place does not exist, or is no document beside others.
    """
    chosen = None if form is None else format_named(form)
    found: dict[str, FoundDocument] = {}
    bases: list[str] = []
    for place in places:
        if place == "-" or "://" in place:
            if (one := _elsewhere(place, chosen)) is not None:
                found[place] = one
            elif len(places) > 1:
                raise _no_document(place)
            continue
        is_folder = Path(place).is_dir()
        paths = list(_in_folder(place, chosen)) if is_folder else _matching(place)
        bases += [_absolute(place)] if is_folder else [str(Path(_absolute(path)).parent) for path in paths]
        for path in paths:
            its = chosen or _form_of(path, is_translation=is_translation, has_target=has_target)
            if its is None and len(places) == len(paths) == 1:
                return None
            if its is None:
                raise _no_document(path)
            found.setdefault(_absolute(path), FoundDocument("", path, its))
        if not paths:
            raise _empty(place, chosen)
    if not found:
        return None
    base = os.path.commonpath(bases) if bases else ""
    named = [_named(one, path, base) for path, one in found.items()]
    return sorted(named, key=lambda one: one.name)


def _named(one: FoundDocument, path: str, base: str) -> FoundDocument:
    name = one.name or os.path.relpath(path, base).replace(os.sep, "/")
    if (fault := fault_of_name(name)) is not None:
        raise RequestError(f"{name!r}: {fault}: rename it; nothing was accepted")
    return FoundDocument(name, one.place, one.form)


def _elsewhere(place: str, chosen: DocumentFormat | None) -> FoundDocument | None:
    """Return the document on standard input or at a URL; None if the place does not tell that it is one."""
    if place == "-":
        return None if chosen is None else FoundDocument(f"document{chosen.suffixes[0]}", place, chosen)
    name = place.partition("?")[0].rpartition("/")[2]
    its = chosen or (None if name.lower().endswith((*_ROWS, *TABLES, ".json")) else format_of(name))
    return None if its is None or not name else FoundDocument(name, place, its)


def _in_folder(folder: str, chosen: DocumentFormat | None) -> Iterator[str]:
    """Yield the documents in a folder and the folders below it. Folders and files whose names begin with a point are hidden."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            path, lower = str(Path(parent, file)), file.lower()
            if file.startswith(".") or not Path(path).is_file():
                continue
            if chosen is not None:
                if lower.endswith(chosen.suffixes):
                    yield path
            elif not lower.endswith(_UNCERTAIN) and _form_of(path, is_translation=True, has_target=True) is not None:
                yield path


def _matching(place: str) -> Sequence[str]:
    """Return the paths of a place that is no folder: itself, or what it matches as a pattern if there is no such file."""
    if Path(place).exists() or not glob.has_magic(place):
        return [place]
    return [path for path in sorted(glob.glob(place, recursive=True)) if Path(path).is_file()]  # noqa: PTH207


def _absolute(path: str) -> str:
    """Return the absolute path without `..`, and with its symbolic links."""
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow the links


def _form_of(path: str, *, is_translation: bool, has_target: bool) -> DocumentFormat | None:
    """Return the format of a local file; None if it holds rows, or is not known."""
    lower = path.lower()
    if lower.endswith(_ROWS) or not any(lower.endswith(form.suffixes) for form in FORMATS.values()):
        return None
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}: check its name and rights") from None
    if lower.endswith(".json") and (not is_translation or _holds_rows(head)):
        return None
    if lower.endswith(TABLES) and not (is_translation and has_target):
        return None
    text = head.decode("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", "replace")
    form = format_of(path, text)
    if form is None or (lower.endswith((".xml", *TABLES)) and not form.detect(text)):
        return None
    return None if lower.endswith(TABLES) and _HEADER.search(text.partition("\n")[0]) else form


def _holds_rows(head: bytes) -> bool:
    """Whether a JSON file holds rows: an array of objects, an object on each line, or one object with fields of a row."""
    text = head.removeprefix(BOM).lstrip()
    if text.startswith(b"["):
        return text[1:].lstrip().startswith(b"{")
    first, _, rest = text.partition(b"\n")
    for part, is_line in ((first, True), (text, False)):
        try:
            value = orjson.loads(part)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            has_more = is_line and rest.lstrip().startswith(b"{")
            return has_more or (isinstance(value.get("text"), str) and not _OF_ROWS.isdisjoint(value))
    return False


def _no_document(place: str) -> RequestError:
    return RequestError(
        f"{place!r} is no document that can be translated: enqueue it by itself if it holds rows, or name its format "
        f"with --format ({', '.join(sorted(FORMATS))})"
    )


def _empty(place: str, chosen: DocumentFormat | None) -> RequestError:
    if glob.has_magic(place):
        return RequestError(f"no file matches {place!r}")
    what = f"no file of the format {chosen.name}" if chosen else "no document whose format its name tells"
    hint = "" if chosen else ": name files of JSON, YAML and tables one by one, or give --format"
    return RequestError(f"the folder {place!r} has {what}{hint}")
