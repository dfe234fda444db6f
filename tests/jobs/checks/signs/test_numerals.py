"""Numerals: digits of many scripts, separators, dates, units of counting, and the hours of the afternoon."""

# ruff: noqa: RUF001 - digits of other scripts

import pytest

from jobs.checks.signs.numerals import numerals, with_all_readings


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,000.5 1.000,5 1 000,5 1\u00a0000,5 1\u202f000,5 1'000.5", ["1000.5"] * 6),
        ("１０００．５ ١٬٠٠٠٫٥ ۱٬۰۰۰٫۵ १,०००.५ ১,০০০.৫ ๑,๐๐๐.๕", ["1000.5"] * 6),
        ("1,000,000 1.000.000 10,00,000 1’000’000", ["1000000"] * 4),
        ("3.14 3,14 0.50 007", ["3.14", "3.14", "0.5", "7"]),
        ("25.12.2024 2024-12-25 12/25/24", ["25", "12", "2024", "2024", "12", "25", "12", "25", "24"]),
        ("v3.11.2, 192.168.10.1", ["3", "11", "2", "192", "168", "10", "1"]),
        ("5–10 and 3-4", ["5", "10", "3", "4"]),
        ("2023 500", ["2023", "500"]),
        ("in 2024, 1,200", ["2024", "1200"]),
        ("12万3456 3億5000万", ["123456", "350000000"]),
        ("½ cup", ["1", "2"]),
        ("no figures", []),
        ("x² and H₂O", []),
        ("9" * 5000, ["9" * 5000]),
    ],
)
def test_numbers_are_read(text: str, numbers: list[str]) -> None:
    assert [one.main for one in numerals(text)] == numbers


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("1.000", "1000"),
        ("1.500", "1.5"),
        ("1.5 million", "1500000"),
        ("1,5 Millionen", "1500000"),
        ("1,5 Mio.", "1500000"),
        ("150万", "1500000"),
        ("15 lakh", "1500000"),
        ("1.5 миллиона", "1500000"),
        ("2 billion", "2000000000"),
        ("2 Milliarden", "2000000000"),
        ("20億", "2000000000"),
        ("5k", "5000"),
        ("3 pm", "15"),
        ("3:30 p.m.", "15"),
        ("12 pm", "12"),
        ("12 a.m.", "0"),
    ],
)
def test_a_number_has_the_readings_of_the_words_beside_it(text: str, reading: str) -> None:
    assert reading in with_all_readings(numerals(text)[0], text).readings


@pytest.mark.parametrize("text", ["5 meters", "5 kilos", "5 bins", "5 boxes"])
def test_a_letter_of_another_word_is_no_unit(text: str) -> None:
    assert with_all_readings(numerals(text)[0], text).readings == {"5"}


def test_a_number_knows_its_place() -> None:
    text = "Take १,५०० now"
    (one,) = numerals(text)
    assert text[one.start : one.end] == "१,५००"
