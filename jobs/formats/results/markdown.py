"""Results as Markdown: a file a row, with YAML front matter, in a folder that static site generators build (tested: Hugo).

What would be a shortcode of Hugo in a text that a model wrote is written with entities: it is shown, not run.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import orjson
import yaml

FRONT: Final = ("batch_id", "row", "custom_id", "kind", "status", "model", "metadata")
TITLE: Final = 80
NAME_BYTES: Final = 100
"""A name longer than that of 255 bytes is refused by file systems, and by people."""

_SHORTCODE: Final = {"{{<": "{{&lt;", "{{%": "{{&#37;"}


class _Quoting(yaml.SafeDumper):
    """Texts in double quotes: the one style in which no line break of Unicode is folded and no word is a number."""


class _Key(str):
    """One of our own names: it needs no quotes."""

    __slots__ = ()


_Quoting.add_representer(_Key, lambda dumper, name: dumper.represent_scalar("tag:yaml.org,2002:str", str(name)))
_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


class Pages:
    """The files of a batch's rows, in their order.

    Two articles may have the same slug, and a site has one page for each: the first keeps it, and behind those of later ones
    stands their row. For that the hashes of the slugs are kept, a few dozen bytes a page.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def name(self, row: Mapping[str, Any]) -> str:
        """`000007-growing-tomatoes.md`: unique in its batch by the row, in the order of the input, safe everywhere."""
        stem = _plain(_output(row).get("slug") or row.get("custom_id") or "")
        return f"{row['row']:06d}-{stem}.md" if stem else f"{row['row']:06d}.md"

    def text(self, row: Mapping[str, Any]) -> str:
        """What the file of a row holds."""
        slug = _plain(_output(row).get("slug") or "")
        if hash(slug) in self._taken:
            slug = f"{slug}-{row['row']}"
        if slug:
            self._taken.add(hash(slug))
        front = yaml.dump(_front(row, slug), Dumper=_Quoting, allow_unicode=True, sort_keys=False, width=4096)
        return f"---\n{front}---\n\n{_body(row)}\n"


def _plain(said: object) -> str:
    """A name of lower-case ASCII letters, digits and hyphens: no dots, no slashes, nothing that a file system minds."""
    plain = unicodedata.normalize("NFKD", str(said)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:NAME_BYTES].strip("-")


def _output(row: Mapping[str, Any]) -> Mapping[str, Any]:
    output = row.get("output")
    return output if isinstance(output, Mapping) else {}


def _front(row: Mapping[str, Any], slug: str) -> dict[str, Any]:
    output = _output(row)
    values = {
        "title": output.get("title") or row.get("custom_id") or f"{row.get('kind') or 'row'} {row['row']}",
        "slug": slug or None,
        "description": output.get("meta_description"),
        "date": row.get("finished_at"),
        **{name: row.get(name) for name in FRONT},
    }
    ours = {_Key(name): values.pop(name) for name in FRONT}
    values["nightpress"] = {name: value for name, value in ours.items() if value not in (None, "")}
    return {_Key(name): value for name, value in values.items() if value is not None}


def _body(row: Mapping[str, Any]) -> str:
    error = row.get("error")
    if error:
        return _safe(f"**{error['code']}**: {error['message']}")
    output = _output(row)
    for field in ("body_markdown", "text"):
        if isinstance(output.get(field), str):
            return _safe(output[field].strip())
    shown = orjson.dumps(output, option=orjson.OPT_INDENT_2).decode()
    return _safe(f"````json\n{shown}\n````")


def _safe(text: str) -> str:
    for opening, shown in _SHORTCODE.items():
        text = text.replace(opening, shown)
    return text
