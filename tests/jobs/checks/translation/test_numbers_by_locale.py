"""Shows that numbers, dates and times are the same in the forms of many locales (CLDR), and that wrong ones are found."""

from datetime import datetime, timedelta
from typing import Final

import pytest
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit

from tests.support.checking import translated

LOCALES: Final = (
    "de", "fr", "es", "it", "pt_BR", "pl", "cs", "ru", "uk", "ar", "ar_EG", "fa", "hi", "bn", "mr", "ja",
    "zh", "ko", "tr", "vi", "th", "he", "sv", "fi", "nb", "da", "nl", "hu", "ro", "el", "bg", "lt",
    "lv", "id", "de_CH", "de_AT", "en_IN", "gu", "ta", "te", "ne", "my", "km", "ur", "sw",
)  # fmt: skip
NUMBERS: Final = (0.05, 0.5, 3, 42, 99.9, 1234, 1234.5, 12345, 100_000, 1_234_567.89)
MOMENT: Final = datetime(2026, 3, 5, 15, 7)  # noqa: DTZ001 - it is only formatted
DATES: Final = ("short", "medium", "long", "full")


def is_faulty(source: str, target: str, locale: str) -> bool:
    languages = f"en {locale.replace('_', '-')}"
    return bool(translated("numbers_changed", f"There is {source} here", f"xx {target} yy", languages))


def forms(value: float, locale: str) -> list[str]:
    return [
        format_decimal(value, locale=locale),
        format_currency(value, "EUR", locale=locale),
        format_unit(value, "kilometer", locale=locale),
        format_percent(round(value, 2), locale=locale),
    ]


@pytest.mark.parametrize("locale", LOCALES)
def test_numbers_are_the_same_in_the_form_of_a_locale(locale: str) -> None:
    for value in NUMBERS:
        pairs = zip(forms(value, "en"), forms(value, locale), strict=True)
        assert [pair for pair in pairs if is_faulty(*pair, locale)] == []
        assert is_faulty(format_decimal(value, locale="en"), format_decimal(value * 10 + 7, locale=locale), locale)


@pytest.mark.parametrize("locale", LOCALES)
def test_dates_and_times_are_the_same_in_the_form_of_a_locale(locale: str) -> None:
    for form in DATES:
        shown = format_date(MOMENT, form, locale="en")
        assert not is_faulty(shown, format_date(MOMENT, form, locale=locale), locale), form
        for wrong in (timedelta(days=13), timedelta(days=3 * 365)):
            assert is_faulty(shown, format_date(MOMENT + wrong, form, locale=locale), locale), form
    for form in DATES[:2]:
        shown = format_time(MOMENT, form, locale="en")
        assert not is_faulty(shown, format_time(MOMENT, form, locale=locale), locale), form
        for wrong in (timedelta(minutes=16), timedelta(hours=3)):
            assert is_faulty(shown, format_time(MOMENT + wrong, form, locale=locale), locale), form


def test_a_version_is_no_date() -> None:
    assert is_faulty("version 3.11.2.4", "version 3.11.2.5", "de")
    assert is_faulty("steps 1. 2. 3. and 4.", "steps 1. 2. 3. and 5.", "de")
