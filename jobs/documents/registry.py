"""The registry of formats of documents: finds the format of a file by its name, or by how it begins."""

from collections.abc import Mapping
from typing import Final

from jobs.did_you_mean import did_you_mean
from jobs.documents.catalogues.android import AndroidFormat
from jobs.documents.catalogues.apple_strings import AppleStringsFormat
from jobs.documents.catalogues.gettext_po import GettextFormat
from jobs.documents.catalogues.json_catalogue import JsonFormat
from jobs.documents.catalogues.properties import PropertiesFormat
from jobs.documents.catalogues.string_catalog import StringCatalogFormat
from jobs.documents.catalogues.yaml_catalogue import YamlFormat
from jobs.documents.document import DocumentFormat
from jobs.documents.exchange.subtitles import SubtitleFormat
from jobs.documents.exchange.xliff import XliffFormat
from jobs.documents.pages.html import HtmlFormat
from jobs.documents.pages.markdown import MarkdownFormat
from jobs.documents.tables.delimited import CsvFormat
from jobs.documents.tables.workbook import XlsxFormat
from jobs.errors import RequestError

_ALL: Final[tuple[DocumentFormat, ...]] = (
    SubtitleFormat("vtt"),
    SubtitleFormat("srt"),
    XliffFormat(),
    AndroidFormat(),
    HtmlFormat(),
    GettextFormat(),
    StringCatalogFormat(),
    JsonFormat(),
    AppleStringsFormat(),
    MarkdownFormat(),
    YamlFormat(),
    PropertiesFormat(),
    CsvFormat(),
    XlsxFormat(),
)
FORMATS: Final[Mapping[str, DocumentFormat]] = {one.name: one for one in _ALL}
"""Each format by its name."""


def format_of(name: str, head: str = "") -> DocumentFormat | None:
    """Return the format of a file; None if no format reads such a file.

    Args:
        name: The name of the file. Among the formats that have its suffix, the first that detects the text is taken, else the
            first of them.
        head: How the file begins, as text. Without a known suffix this decides alone.
    """
    by_name = [one for one in _ALL if name.lower().endswith(one.suffixes)]
    detected = (one for one in by_name or _ALL if head and one.detect(head))
    return next(detected, by_name[0] if by_name else None)


def format_named(name: str) -> DocumentFormat:
    """Return the format of this name. Raises RequestError, with the nearest name, if there is none."""
    if name not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise RequestError(f"no format of documents is called {name!r}{did_you_mean(name, FORMATS)}; there are {known}")
    return FORMATS[name]
