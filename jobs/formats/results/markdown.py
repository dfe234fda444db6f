"""Results as Markdown: a file for each row, with YAML front matter, in a folder that static site generators build (tested: Hugo).

Text of a model that Hugo would run as a shortcode is written with entities, so that it is shown instead.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import orjson

from jobs.batches.output_rows import codes_of
from jobs.formats.results.front_matter import front_matter

FRONT: Final = ("batch_id", "row", "custom_id", "kind", "status", "verdict", "findings", "model", "metadata")
"""The fields of a row that stand in the front matter under `nightpress`. Findings are the codes of their checks."""

TRANSLATED: Final = ("source_language", "target_language", "source")
"""The fields of a translation that stand in the front matter, since the body is its text alone."""

NAME_BYTES: Final = 100
"""A file's name has at most this many bytes after the row number and the hyphen. File systems take at most 255 bytes."""

_NOT_PLAIN: Final = re.compile(r"[^a-z0-9]+")
PARTS: Final = ("variants", "thread")
"""The fields of a post that hold several texts. The body has them all, with a line between them."""
RULE: Final = "\n\n---\n\n"

_SHORTCODE: Final = {"{{<": "{{&lt;", "{{%": "{{&#37;"}
"""The beginning of a shortcode -> the same with an entity."""


class Pages:
    """Makes a file for each row of a batch, in the order of the rows.

    Two articles may have the same slug, but a site has one page for each slug. The first article keeps the slug; in a later
    one, the row number is added to the slug. To find slugs that come again, the hash of each slug is kept in memory: a few
    dozen bytes for each page.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def name(self, row: Mapping[str, Any]) -> str:
        """Return the name of a row's file: `000007-growing-tomatoes.md`. It is unique in the batch and sorts by row."""
        stem = _plain(_output(row).get("slug") or row.get("custom_id") or "")
        return f"{row['row']:06d}-{stem}.md" if stem else f"{row['row']:06d}.md"

    def text(self, row: Mapping[str, Any]) -> str:
        """Return the text of a row's file."""
        slug = _plain(_output(row).get("slug") or "")
        if hash(slug) in self._taken:
            slug = f"{slug}-{row['row']}"
        if slug:
            self._taken.add(hash(slug))
        return f"---\n{front_matter(_front(row, slug))}---\n\n{_body(row)}\n"


def _plain(text: object) -> str:
    """Reduce a text to lower-case ASCII letters, digits and hyphens, so that it is a safe name in any file system."""
    plain = unicodedata.normalize("NFKD", str(text)).encode("ascii", "ignore").decode().lower()
    return _NOT_PLAIN.sub("-", plain)[:NAME_BYTES].strip("-")


def _output(row: Mapping[str, Any]) -> Mapping[str, Any]:
    output = row.get("output")
    return output if isinstance(output, dict) else {}


def _front(row: Mapping[str, Any], slug: str) -> dict[str, Any]:
    output = _output(row)
    values = {
        "title": output.get("title") or row.get("custom_id") or f"{row.get('kind') or 'row'} {row['row']}",
        "slug": slug or None,
        "description": output.get("meta_description"),
        "date": row.get("finished_at"),
        **{name: output.get(name) for name in TRANSLATED},
        **{name: row.get(name) for name in FRONT},
        "findings": codes_of(row.get("findings") or ()),
    }
    ours = {name: values.pop(name) for name in (*FRONT, *TRANSLATED)}
    values["nightpress"] = {name: value for name, value in ours.items() if value not in (None, "", [])}
    return {name: value for name, value in values.items() if value is not None}


def _body(row: Mapping[str, Any]) -> str:
    error = row.get("error")
    if error:
        return _safe(f"**{error['code']}**: {error['message']}")
    output = _output(row)
    for field in PARTS:
        if parts := [one.strip() for one in output.get(field) or () if isinstance(one, str)]:
            return _safe(RULE.join(parts))
    for field in ("body_markdown", "text"):
        if isinstance(output.get(field), str):
            return _safe(output[field].strip())
    if isinstance(probabilities := output.get("probabilities"), Mapping):
        ranked = sorted(probabilities.items(), key=lambda one: -one[1])
        rows = "".join(f"| {_cell(label)} | {probability:.6f} |\n" for label, probability in ranked)
        return _safe(f"**{_cell(output.get('label'))}**\n\n| label | probability |\n|---|---|\n{rows}".rstrip())
    shown = orjson.dumps(output, option=orjson.OPT_INDENT_2).decode()
    return _safe(f"````json\n{shown}\n````")


def _cell(text: object) -> str:
    """Return a label as a cell of a table shows it."""
    return re.sub(r"([\\|*_`<\[])", r"\\\1", str(text))


def _safe(text: str) -> str:
    for opening, shown in _SHORTCODE.items():
        text = text.replace(opening, shown)
    return text
