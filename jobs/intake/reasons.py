"""Reasons: says in plain words why pydantic refuses a value, where its own words are those of a program: a pattern, a tuple."""

from collections.abc import Mapping
from typing import Final

from pydantic_core import ErrorDetails

_FORMS: Final[Mapping[str, str]] = {
    r"^[^\r\n]*\S[^\r\n]*$": "it must be on one line",
    r"^https?://\S+$": "it must be a link that begins with https:// or http:// and has no spaces",
    r"^#?\w+$": "it must be one word, with or without # before it",
    r"^[0-9]{1,9}$": "it must be the number of a token",
    r"^[A-Za-z0-9._-]{1,64}$": "it must have 1 to 64 letters of ASCII, digits, dots, hyphens or underscores",
}
"""Pattern of a field -> what a value must be."""


_TYPES: Final[Mapping[str, str]] = {"dict_type": 'it must be an object, such as {"name": "value"}'}
"""Type of a fault -> what a value must be."""


def reason_of(detail: ErrorDetails) -> str:
    """Return why pydantic refuses a value. It has pydantic's words if there are no plainer ones here."""
    reason = _not_whole(detail) or _wrong_length(detail) or _wrong_form(detail) or _TYPES.get(detail["type"])
    return reason or detail["msg"].removeprefix("Value error, ")


def _not_whole(detail: ErrorDetails) -> str:
    """Return what is wrong with a number that was given for an integer; an empty text if the fault is another one."""
    given = detail["input"]
    if detail["type"] not in ("int_type", "int_from_float") or not isinstance(given, float):
        return ""
    if given.is_integer():
        return f"{given:g} may stand for several integers: write it without a decimal point and an exponent"
    return f"{given:g} is not a whole number"


def _wrong_length(detail: ErrorDetails) -> str:
    """Return what is wrong with the length of a list or text; an empty text if the fault is another one."""
    if detail["type"] not in ("too_short", "too_long"):
        return ""
    context = detail.get("ctx", {})
    bound = "least" if detail["type"] == "too_short" else "most"
    limit = context.get("min_length", context.get("max_length"))
    unit = "character" if isinstance(detail["input"], str) else "item"
    return f"it must have at {bound} {limit} {unit}{'' if limit == 1 else 's'}"


def _wrong_form(detail: ErrorDetails) -> str:
    """Return what is wrong with a text that does not match a pattern; an empty text if that cannot be said without it."""
    if detail["type"] != "string_pattern_mismatch":
        return ""
    if not str(detail["input"]).strip():
        return "it has no text"
    return _FORMS.get(detail.get("ctx", {}).get("pattern", ""), "")
