"""Front matter: the values at the head of a Markdown file, as YAML 1.1 and 1.2 read them alike.

Values of JSON need few of YAML's rules, and the dumper of the YAML library would take nine tenths of a page's time. Texts are
always in double quotes, so that no word is read as a number or a date, and no text ends the front matter.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

_PLAIN_KEY: Final = re.compile(r"[a-z][a-z_]*")
"""A key of this form is written without quotes, unless YAML 1.1 reads it as another type."""
_OTHER_TYPES: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Matches characters that JSON allows and YAML forbids, or that YAML takes for a line break."""

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)

LONGEST_KEY: Final = 500
"""A longer key is written after a question mark: without it YAML takes 1,024 characters, escapes included."""


def front_matter(values: Mapping[str, Any]) -> str:
    """Return the lines of an object of JSON values. Keys within other objects and lists may be any text."""
    return "".join(f"{line}\n" for line in _lines(values, ""))


def _lines(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in values.items():
        key = name if _is_plain(name) else _quoted(name)
        if len(key) > LONGEST_KEY:
            yield f"{indent}? {key}"
            yield f"{indent}: {_flow(value)}"
        elif isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {_flow(value)}"


@lru_cache(1_024)
def _is_plain(key: str) -> bool:
    return _PLAIN_KEY.fullmatch(key) is not None and key not in _OTHER_TYPES


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, str):
        return _quoted(value)
    if type(value) is int:
        return str(value)
    if isinstance(value, dict):
        pairs = [(_quoted(name), _flow(one)) for name, one in value.items()]
        return "{{{}}}".format(", ".join(f"{'? ' * (len(key) > LONGEST_KEY)}{key} : {one}" for key, one in pairs))
    if isinstance(value, list | tuple):
        return "[{}]".format(", ".join(map(_flow, value)))
    if isinstance(value, float):
        mantissa, e, exponent = repr(value).partition("e")
        return mantissa + (".0" if e and "." not in mantissa else "") + e + exponent
    return json.dumps(value)


def _quoted(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:  # as most texts, which are written as they are
        return f'"{text}"'
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", _ENCODER.encode(text))
