"""Finds contacts in a text: e-mail addresses, telephone numbers, IBANs, payment cards, handles. Each is given by its place."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import regex

Span = tuple[int, int]
"""Start and end in the text."""

_SPACED: Final = (
    r"[\p{L}\p{M}\p{N}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30fc]]"
)
"""Letters, marks and digits of scripts with spaces between words. A letter of another script may stand beside an address."""

EMAIL: Final = regex.compile(
    rf"(?<![[{_SPACED}].+%@/-])[{_SPACED}][[{_SPACED}]_.+%-]{{0,63}}+@"
    r"(?:[\p{L}\p{N}][\p{L}\p{M}\p{N}-]{0,62}+\.){1,8}"
    rf"(?:(?:xn--[a-z0-9-]{{2,59}}+|[A-Za-z]{{2,24}}+)(?![_-]?[A-Za-z0-9@])|[{_SPACED}]{{2,24}}+(?![\w@]))",
    regex.V1,
)
"""Matches an e-mail address in any script. It ends before the punctuation of its sentence, and before a word in Chinese or
Japanese, which follows without a space.
"""
_DIGIT: Final = r"[\d\u0660-\u0669\u0966-\u096f]"
_BETWEEN: Final = r"[ ./\u00a0\u2011-]{0,2}"
_NUMBER: Final = regex.compile(
    rf"(?<![\w/.=,-])(?:(?<!\+)\+)?\(?{_DIGIT}{{1,6}}+\)?(?:{_BETWEEN}\(?{_DIGIT}{{1,12}}+\)?){{1,9}}+(?![\w/%\u00b0\u20ac$\u00a3])"
)
_AMERICAN: Final = regex.compile(r"(?:\+?1[ .-])?(?:\(\d{3}\)[ ]?|\d{3}[.-])\d{3}[ .-]\d{4}")
_DATE: Final = regex.compile(
    r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./-]\d{1,2}[./-]\d{1,2}|(?:19|20)\d\d\s?-\s?(?:19|20)\d\d"
)
_PHONE_WORD: Final = regex.compile(
    r"(?<!\p{L})(?:phone|telephone|tel|call|call us|call me|mobile|cell|fax|whatsapp|text us|telefon|telefonnummer|handy|mobil|"
    r"rufen sie|téléphone|tél|portable|appelez|teléfono|llám\p{L}{1,6}|móvil|telefono|cellulare|chiama\p{L}{0,4}|telefone|"
    r"celular|ligue|telefoon|bel|bel ons|zadzwoń|тел|телефон|звоните|τηλ|τηλέφωνο|telefonu|puhelin|電話|電話番号|电话|"
    r"手机|手機|전화|전화번호|هاتف|الهاتف|اتصل|فون|फ़ोन|फोन|दूरभाष|☎|📞)"
    r"[ \u00a0]?[.:\uff1a]{0,2}(?:\s(?:number|nummer|numéro|número|numero|номер|no\.?|nr\.?):?)?"
    r"(?:\s(?:us|at|on|au|al|unter|an|o|para|по|op|pod|на|पर)\b:?)?[\s\u00a0]{0,2}\Z",
    regex.IGNORECASE,
)
_ABOUT: Final = 40
"""A word such as `Tel.` is looked for in this many characters before a number."""

_IBAN: Final = regex.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]{4}){2,7}(?:[ \u00a0]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)
_CARD: Final = regex.compile(r"(?<![\d.,+-])(?:4|5[1-5]|2[2-7]|3[47]|6)\d*+(?:[ -]\d{2,7}+){0,5}+(?![\d]|[.,]\d)")
HANDLE: Final = regex.compile(
    r"(?<![\w@./+%-])@(?=[\w.]{0,29}[A-Za-z])[A-Za-z0-9_](?:[A-Za-z0-9_]|[.-](?=[A-Za-z0-9_])){1,60}+(?:@[\w-]{1,60}+(?:\.[\w-]{2,60}+)+)?(?![/\w(])"
)
"""Matches a handle, such as `@anna` or `@anna@example.social`."""

IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24,
    "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29,
    "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "XK": 20,
}  # fmt: skip
"""Country -> the length of its IBANs."""

_FEWEST_LOCAL: Final = 6
_FEWEST_DIGITS: Final = 8
_MOST_DIGITS: Final = 15
"""A telephone number with its country has 8 to 15 digits (E.164); without it, at least 6."""


def digits_of(text: str) -> str:
    """Return only the digits of a text, in the form 0 to 9."""
    return "".join(str(int(sign)) for sign in text if sign.isdecimal())


def emails(text: str) -> Iterator[Span]:
    """Yield the e-mail addresses in a text."""
    if "@" in text:
        yield from (found.span() for found in EMAIL.finditer(text))


@lru_cache(maxsize=16)
def phones(text: str) -> Sequence[Span]:
    """Return the places of telephone numbers in a text: with a country, in the American form, or behind a word such as `Tel.`.

    The results for recent texts are kept, because two checks look at each text.
    """
    return tuple(_phones(text))


def _phones(text: str) -> Iterator[Span]:
    for found in _NUMBER.finditer(text):
        number = found[0].strip("()") if found[0].count("(") != found[0].count(")") else found[0]
        digits = digits_of(number)
        if not _FEWEST_LOCAL <= len(digits) <= _MOST_DIGITS or digits.endswith("000000") or _DATE.fullmatch(number):
            continue
        start = text.index(number, found.start())
        international = number.startswith(("+", "00")) and len(digits.removeprefix("00")) >= _FEWEST_DIGITS
        if (
            (international and digits[:3] != "000")
            or _AMERICAN.fullmatch(number)
            or _PHONE_WORD.search(text[max(0, start - _ABOUT) : start])
        ):
            yield start, start + len(number)


def ibans(text: str) -> Iterator[Span]:
    """Yield the IBANs in a text whose length and check digits are right."""
    for found in _IBAN.finditer(text):
        for end in range(found.end(), found.start() + 14, -1):
            if (text[end : end + 1].isalnum() and end != found.end()) or not is_iban(text[found.start() : end]):
                continue
            yield found.start(), end
            break


def is_iban(text: str) -> bool:
    """Whether a text is an IBAN: its length is that of its country, and its number modulo 97 is 1 (ISO 13616)."""
    plain = "".join(text.split())
    if len(plain) != IBAN_LENGTHS.get(plain[:2], 0):
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def cards(text: str) -> Iterator[Span]:
    """Yield the numbers of payment cards in a text whose check digit is right."""
    for found in _CARD.finditer(text):
        if is_card(found[0]):
            yield found.span()


def is_card(text: str) -> bool:
    """Whether the digits of a text are 13 to 19, not all alike, and pass the check of Luhn (ISO 7812)."""
    digits = [int(sign) for sign in text if sign.isdecimal()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
