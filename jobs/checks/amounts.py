"""Finds the numbers in a text by value, so that `1,299.00` and `1 299` are the same, and tells which of them are prices."""

# ruff: noqa: RUF001 - words of other scripts

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import regex

_NUMBER: Final = regex.compile(
    r"(?<![\d.,]|[.,]\d)(?:\d{1,3}(?:[.,'\u2019\u00a0\u202f\u066c ]\d{3}){1,6}+(?!\d)|\d{1,20}+)(?:[.,\u066b]\d{1,9}+)?(?!\d)"
)
_RUN: Final = re.compile(r"\d[\d.,'\u2019\u00a0\u202f\u066b\u066c ]*")
"""Matches where numbers stand; it is quicker than the pattern of a number."""

_BEFORE: Final = regex.compile(
    r"(?:[$€£¥₹₽₩₺₴₪₫฿]|(?<!\p{L})(?:US\$|R\$|CHF|EUR|USD|GBP|JPY|INR|RUB|PLN|SEK|NOK|DKK|CZK|BRL|Rs\.?|kr\.?))[ \u00a0\u202f]?\Z"
)
_AFTER: Final = regex.compile(
    r"[ \u00a0\u202f]?(?:[$€£¥₹₽₩₺₴₪₫฿]|(?:EUR|USD|GBP|CHF|JPY|INR|RUB|PLN|SEK|NOK|DKK|CZK|BRL|AED|SAR|TL|RON|HUF)(?!\p{L})"
    r"|(?i:euros?|dollars?|dólares|dollari|dollar|pounds?|rupees?|cents?|centimes|céntimos|centesimi|kronor|kroner|zł|złot\p{L}{1,3}|"
    r"kč|ft|lei|руб\p{L}{0,4}|евро|доллар\p{L}{0,3}|гривен\p{L}{0,2}|грн|ευρώ|δολάρια|دولار\p{L}{0,2}|يورو|درهم|ريال|रुपये|रुपए|डॉलर)"
    r"(?!\p{L})|円|元|人民币|美元|欧元|ドル|ユーロ|원|달러|유로)"
)
_ABOUT: Final = 16


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in a text."""

    start: int
    end: int
    value: str
    """Its digits, with a full stop before the decimals; without zeros that do not change the value."""
    is_price: bool = False


def amounts(text: str) -> Iterator[Amount]:
    """Yield the numbers in a text. The place of a price includes its currency."""
    runs = _RUN.finditer(text)
    for found in (found for run in runs for found in _NUMBER.finditer(text, *run.span())):
        start, end = found.span()
        before = (
            _BEFORE.search(text[max(0, start - _ABOUT) : start])
            if _may_be_currency(text[max(0, start - 2) : start])
            else None
        )
        after = _AFTER.match(text, end, end + _ABOUT) if _may_be_currency(text[end : end + 2]) else None
        if before:
            start -= len(before[0])
        elif after:
            end = after.end()
        yield Amount(start, end, value_of(found[0]), bool(before or after))


def _may_be_currency(signs: str) -> bool:
    sign = signs.strip()
    return sign != "" and not sign.isdecimal() and sign not in (".", ",", ".\n", ")", "(", "-")


def value_of(number: str) -> str:
    """Return the value of a number that is written with any separators: `1.299,50` is `1299.5`.

    The last separator begins the decimals unless three digits follow it, or the same separator stands before it.
    """
    digits = "".join(str(int(sign)) if sign.isdecimal() else sign for sign in number)
    separators = [sign for sign in digits if not sign.isdecimal()]
    decimals = ""
    if separators:
        whole, last, rest = digits.rpartition(separators[-1])
        if last in ".,\u066b" and (len(rest) != 3 or len(set(separators)) > 1) and separators.count(last) == 1:
            digits, decimals = whole, rest.rstrip("0")
    digits = "".join(sign for sign in digits if sign.isdecimal()).lstrip("0") or "0"
    return f"{digits}.{decimals}" if decimals else digits
