"""Numbers that were changed, lost or made up, and the many ways in which languages write the same number."""

# ruff: noqa: RUF001 - digits of other scripts

import pytest

from jobs.checks.translation.numbers_changed import chinese_value
from tests.support.checking import pointed_at, translated

CODE = "numbers_changed"


@pytest.mark.parametrize(
    ("languages", "source", "target", "places"),
    [
        pytest.param("en de", "It costs 1,000 euros.", "Es kostet 1,001 Euro.", ["", "1,001"], id="digit"),
        pytest.param("en de", "Take 5 tablets", "Nimm 6 Tabletten", ["", "6"], id="small"),
        pytest.param("en de", "Take 5 tablets", "Nimm Tabletten", [""], id="lost"),
        pytest.param("en fr", "Take tablets", "Prends 15 comprimés", ["15"], id="made-up"),
        pytest.param("en ar", "Take 25 tablets", "خذ ٢٦ قرصًا", ["", "٢٦"], id="arabic-indic"),
        pytest.param("en hi", "1,50,000 rupees", "१५,००० रुपये", ["", "१५,०००"], id="devanagari"),
        pytest.param("en ja", "In 1998", "1989年に", ["", "1989"], id="year"),
        pytest.param("en zh", "10,000 books", "10万本书", ["", "10"], id="ten-thousands"),
        pytest.param("en ru", "1 tablet a day", "2 таблетки в день", ["", "2"], id="one-and-two"),
        pytest.param("en de", "12/25/2024", "25.11.2024", ["", "11"], id="month"),
        pytest.param("en el", "1.5 litres", "15 λίτρα", ["", "15"], id="decimal-point-lost"),
        pytest.param("en ko", "30 days", "31일", ["", "31"], id="korean"),
        pytest.param("en es", "at 3 pm", "a las 16:00", ["", "16"], id="hour"),
        pytest.param("en sw", "I have 3 cats.", "Nina paka 4.", ["", "4"], id="words-unknown"),
        pytest.param("en sw", "I have 13 cats.", "Nina paka.", [""], id="words-unknown-and-not-small"),
    ],
)
def test_a_changed_number_is_found(languages: str, source: str, target: str, places: list[str]) -> None:
    findings = translated(CODE, source, target, languages)
    assert pointed_at(findings, target) == places
    assert all(finding.severity == "fail" for finding in findings)


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        pytest.param("en de", "1,000.5 m", "1.000,5 m", id="german"),
        pytest.param("en fr", "1,000.5 m", "1\u202f000,5 m", id="french"),
        pytest.param("en ar", "1,000.5", "١٬٠٠٠٫٥", id="arabic"),
        pytest.param("en ja", "1,000.5", "１０００．５", id="full-width"),
        pytest.param("en hi", "150,000", "१,५०,०००", id="lakh-groups"),
        pytest.param("en hi", "10 lakh", "10,00,000", id="lakh"),
        pytest.param("en de", "12/25/2024", "25.12.2024", id="date"),
        pytest.param("en de", "12/25/2024", "25. Dezember 2024", id="month-as-a-word"),
        pytest.param("en ja", "March 5, 2024 at 3 pm", "2024年3月5日15時", id="month-as-a-number"),
        pytest.param("en fr", "the 19th century", "le XIXe siècle", id="roman"),
        pytest.param("ru en", "XX век", "the 20th century", id="roman-in-the-source"),
        pytest.param("en zh", "35 people", "三十五人", id="chinese"),
        pytest.param("zh en", "增长了三成，三千五百万人", "up 30%, 35 million people", id="chinese-units"),
        pytest.param("ja en", "令和6年", "2024", id="era"),
        pytest.param("en th", "in 2024", "ในปี พ.ศ. 2567", id="buddhist-era"),
        pytest.param("en es", "save 1/3", "ahorra un tercio", id="fraction-as-a-word"),
        pytest.param("ja en", "三人", "3 people", id="chinese-in-the-source"),
        pytest.param("en de", "three men, 5 horses", "3 Männer, fünf Pferde", id="words-on-both-sides"),
        pytest.param("en ru", "12 months", "двенадцать месяцев", id="word"),
        pytest.param("en de", "twenty-five people", "25 Leute", id="tens-as-a-word"),
        pytest.param("en zh", "two hundred people", "200人", id="hundreds-as-a-word"),
        pytest.param("en ar", "2 books", "كتابان", id="dual"),
        pytest.param("en fr", "1 apple", "une pomme", id="article"),
        pytest.param("en pt", "1.5 million", "1,5 milhão", id="million"),
        pytest.param("en ja", "1.5 million", "150万", id="million-in-ten-thousands"),
        pytest.param("en de", "2 billion", "2 Milliarden", id="billion"),
        pytest.param("en de", "from 3:30 pm", "ab 15:30 Uhr", id="afternoon"),
        pytest.param("zh en", "下午3点30分", "3:30 p.m.", id="afternoon-in-both"),
        pytest.param("en de", "at noon", "um 12 Uhr", id="noon"),
        pytest.param("en ru", "in the 1990s", "в 90-е годы", id="decade"),
        pytest.param("en de", "open 24/7", "rund um die Uhr offen", id="idiom"),
        pytest.param("en fr", "Room 5 200 people", "200 personnes, salle 5", id="spaces-that-group-nothing"),
        pytest.param("en fr", "$1,200.50", "1 200,50 $", id="price"),
        pytest.param("en de", "½ cup", "1/2 Tasse", id="fraction"),
        pytest.param("en sw", "I have 12 cats.", "Nina paka kumi na wawili.", id="words-unknown-and-small"),
        pytest.param("en vi", "5 rooms", "năm phòng", id="vietnamese"),
        pytest.param("en ko", "5 rooms", "방 다섯 개", id="korean"),
        pytest.param("en he", "10 books", "עשרה ספרים", id="hebrew"),
        pytest.param("en de", "see {0} and %2$s", "siehe {0} und %2$s", id="placeholders"),
        pytest.param("en de", "https://x.org/2024 a5@x.org", "https://x.org/2023 a6@x.org", id="addresses"),
        pytest.param("en de", '<h1 class="a7">x</h1>', '<h2 class="a8">x</h2>', id="tags"),
    ],
)
def test_the_same_number_in_another_form_passes(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


def test_small_numbers_have_a_limit() -> None:
    source, target = "Nina paka {}.", "Nina paka."
    assert not translated(CODE, source.format("12"), target, "sw ln")
    assert translated(CODE, source.format("13"), target, "sw ln")
    assert not translated(CODE, source.format("13"), target, "sw ln", {"small": 13})
    assert translated(CODE, source.format("12"), target, "sw ln", {"small": 11})


def test_in_markdown_the_numbers_of_code_are_left_to_the_check_of_markup() -> None:
    assert translated(CODE, "Run `sleep 50`", "`sleep 51` ausführen", format="markdown") == []
    assert len(translated(CODE, "Run `sleep 50`", "`sleep 51` ausführen")) == 2


def test_an_icu_message_is_not_judged() -> None:
    source = "{n, plural, =1 {1 file} other {# files}}"
    assert translated(CODE, source, "{n, plural, other {#個}}", "en ja") == []


@pytest.mark.parametrize(
    ("numeral", "value"),
    [
        ("三", 3),
        ("十", 10),
        ("十二", 12),
        ("二十", 20),
        ("三十五", 35),
        ("三五", 35),
        ("百二", 102),
        ("两百", 200),
        ("二〇二四", 2024),
        ("廿一", 21),
    ],
)
def test_chinese_numerals_are_read(numeral: str, value: int) -> None:
    assert chinese_value(numeral) == value
