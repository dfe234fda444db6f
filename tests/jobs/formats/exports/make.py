"""Makes the files of this folder anew. They are exports of LibreOffice Calc, as people send them. They are kept, so that tests
need no LibreOffice.

    python tests/jobs/formats/exports/make.py      # needs soffice: apt-get install --no-install-recommends libreoffice-calc

One sheet of four rows is written as a flat OpenDocument file, once with the number formats of each locale, and exported by
LibreOffice itself with each set of options of its CSV filter. One of the exports goes through .xlsx first. The options are, in
this order: separator, quote, encoding, first line, column formats, language, quote all text, special numbers, as shown.
https://help.libreoffice.org/latest/en-US/text/shared/guide/csv_params.html
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, quoteattr

FOLDER: Final = Path(__file__).parent
HEADER: Final = ("custom_id", "kind", "prompt", "max_tokens", "temperature", "stop", "metadata.note")
ROWS: Final[tuple[tuple[str | int | float | None, ...], ...]] = (
    ("007", "chat", 'Café "Zur Post" \N{EN DASH} was kostet €5, was €7;50?', 120, 0.7, "Ende|Schluss", "=Notiz"),
    ("b-2", "chat", "Zwei\nZeilen, mit Komma", 1_000, 1.25, None, None),
    ("c-3", "chat", "'tis quoted, O'Neill's", 60, 1, None, "Spalte; mit Semikolon"),
    ("d-4", "chat", "Genug.", 12_500, 0.125, None, "1.000"),
)
"""The rows have a text of digits, quotes, newlines, numbers with decimals, and numbers above a thousand."""

COMMA, SEMICOLON, TAB, PIPE, QUOTE, APOSTROPHE = 44, 59, 9, 124, 34, 39
UTF8, CP1252, UTF16 = 76, 1, 65535
SHOWN, RAW = "true", "false"
EXPORTS: Final = {
    # name: (locale, through xlsx, separator, quote, encoding, quote all text, as shown)
    "en-comma-utf8": ("en-US", False, COMMA, QUOTE, UTF8, "false", SHOWN),
    "en-comma-utf8-raw": ("en-US", False, COMMA, QUOTE, UTF8, "false", RAW),
    "en-comma-utf8-quoted": ("en-US", False, COMMA, QUOTE, UTF8, "true", SHOWN),
    "en-comma-utf8-from-xlsx": ("en-US", True, COMMA, QUOTE, UTF8, "false", SHOWN),
    "en-tab-utf16": ("en-US", False, TAB, QUOTE, UTF16, "false", SHOWN),
    "en-semicolon-cp1252-raw": ("en-US", False, SEMICOLON, QUOTE, CP1252, "false", RAW),
    "de-semicolon-cp1252": ("de-DE", False, SEMICOLON, QUOTE, CP1252, "false", SHOWN),
    "de-comma-utf8": ("de-DE", False, COMMA, QUOTE, UTF8, "false", SHOWN),
    "de-comma-utf8-raw": ("de-DE", False, COMMA, QUOTE, UTF8, "false", RAW),
    "de-tab-utf16-raw": ("de-DE", False, TAB, QUOTE, UTF16, "false", RAW),
    "fr-semicolon-utf8": ("fr-FR", False, SEMICOLON, QUOTE, UTF8, "false", SHOWN),
    "ch-semicolon-utf8": ("de-CH", False, SEMICOLON, QUOTE, UTF8, "false", SHOWN),
    "en-pipe-utf8": ("en-US", False, PIPE, QUOTE, UTF8, "false", SHOWN),
    "en-comma-apostrophes": ("en-US", False, COMMA, APOSTROPHE, UTF8, "true", SHOWN),
}
_NAMESPACES: Final = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{path}:1.0"'
    for name, path in (
        ("office", "office"),
        ("table", "table"),
        ("text", "text"),
        ("style", "style"),
        ("number", "datastyle"),
    )
)


def sheet(locale: str) -> str:
    """Return the sheet as flat OpenDocument. Its numbers are formatted with separators of thousands, as people in a place of
    this locale do it.
    """
    language, _, country = locale.partition("-")
    where = f'number:language="{language}" number:country="{country}"'
    styles = f"""
  <number:number-style style:name="whole-format" {where}>
   <number:number number:decimal-places="0" number:min-integer-digits="1" number:grouping="true"/>
  </number:number-style>
  <number:number-style style:name="real-format" {where}>
   <number:number number:decimal-places="2" number:min-decimal-places="2" number:min-integer-digits="1"/>
  </number:number-style>
  <style:style style:name="whole" style:family="table-cell" style:data-style-name="whole-format"/>
  <style:style style:name="real" style:family="table-cell" style:data-style-name="real-format"/>"""
    rows = "\n".join(f"   <table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in (HEADER, *ROWS))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document {_NAMESPACES} office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">
 <office:automatic-styles>{styles}
 </office:automatic-styles>
 <office:body>
  <office:spreadsheet>
   <table:table table:name="Night">
{rows}
   </table:table>
  </office:spreadsheet>
 </office:body>
</office:document>
"""


def cell(value: str | float | None) -> str:
    """A cell of the sheet."""
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, str):
        lines = "".join(f"<text:p>{escape(line)}</text:p>" for line in value.split("\n"))
        return f'<table:table-cell office:value-type="string">{lines}</table:table-cell>'
    style = "whole" if isinstance(value, int) and value >= 10 else "real"
    value_attributes = f'office:value-type="float" office:value={quoteattr(str(value))}'
    return f'<table:table-cell table:style-name="{style}" {value_attributes}/>'


def converted(source: Path, target: str, profile: Path) -> Path:
    """Convert a file with LibreOffice to the form `target`, and return the new file, which lies beside the old one."""
    command = ["soffice", f"-env:UserInstallation=file://{profile}", "--headless", "--convert-to", target]
    subprocess.run(
        [*command, "--outdir", str(source.parent), str(source)], check=True, capture_output=True, timeout=180
    )
    return source.with_suffix("." + target.partition(":")[0])


def main() -> None:
    """Make all files of the folder."""
    for name, (locale, xlsx, separator, quote, encoding, quoted, shown) in EXPORTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "night.fods"
            source.write_text(sheet(locale), encoding="utf-8")
            profile = Path(tempfile.gettempdir()) / "nightpress-soffice"
            if xlsx:
                source = converted(source, "xlsx:Calc MS Excel 2007 XML", profile)
            options = f"{separator},{quote},{encoding},1,,0,{quoted},true,{shown}"
            made = converted(source, f"csv:Text - txt - csv (StarCalc):{options}", profile)
            (FOLDER / f"{name}.csv").write_bytes(made.read_bytes())


if __name__ == "__main__":
    main()
