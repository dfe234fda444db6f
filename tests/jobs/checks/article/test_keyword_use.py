"""Keywords that are missing, too dense, too rare, or not where search engines look; in ten languages and six scripts."""

# ruff: noqa: RUF001 - words of other scripts

from typing import Any

import pytest

from jobs.findings import Severity
from tests.jobs.checks.article.articles import found, marked, words_of


def problems(body: str, keywords: list[str], language: str = "en", **more: Any) -> list[str]:
    findings = found("keyword_use", body, keywords=keywords, language=language, **more)
    return [one.message for one in findings]


@pytest.mark.parametrize(
    ("language", "keyword", "text"),
    [
        ("en", "tomato", "We grow Tomatoes."),
        ("en", "how to grow tomatoes", "You can grow a tomato here."),
        ("en", "city garden", "The garden of our city, and of other cities."),
        ("en", "planning", "We plan the year."),
        ("en", "low-cost", "A low cost pot."),
        ("en", "low cost", "A low-cost pot."),
        ("en", "Wi-Fi", "With WiFi and without."),
        ("en", "C++", "Written in C++, not in C."),
        ("en", "St. John's wort", "We drink St. John's wort."),
        ("de", "Tomate", "Die Tomaten sind reif."),
        ("de", "Haus", "Alte Häuser."),
        ("fr", "eau", "L’eau est froide."),
        ("es", "luz", "Las luces del jardín."),
        ("it", "pomodoro", "I pomodori maturi."),
        ("pl", "pomidor", "Uprawa pomidorów."),
        ("ru", "огурец", "Сажаем огурцы."),
        ("ru", "растение", "Уход за растениями."),
        ("el", "ντομάτα", "Οι ντομάτες."),
        ("ar", "طماطم", "نزرع الطماطم والخيار."),
        ("he", "גינה", "בגינה שלנו."),
        ("hi", "टमाटर", "टमाटरों को पानी दें।"),
        ("tr", "domates", "Domateslerin bakımı."),
        ("fi", "kukka", "Kukat kasvavat."),
        ("ko", "토마토", "토마토를 심다."),
        ("ja", "トマト栽培", "ベランダのトマト栽培です。"),
        ("zh", "番茄", "我们种番茄。"),
        ("th", "มะเขือเทศ", "ปลูกมะเขือเทศที่บ้าน"),
        ("vi", "cà chua", "Trồng cà chua."),
        ("eo", "tomato", "La tomatoj."),  # a language without a table
    ],
)
def test_a_keyword_that_occurs_is_not_missed(language: str, keyword: str, text: str) -> None:
    assert problems(text, [keyword], language, title=keyword) == []


@pytest.mark.parametrize(
    ("language", "keyword", "text"),
    [
        ("en", "tomato", "We grow cucumbers."),
        ("en", "car", "A card for care."),
        ("en", "grow tomatoes", "We grow. The tomatoes are red."),
        ("en", "C++", "Written in C, C# and C+++."),
        ("en", "tomato", "See `tomato` only in\n\n```\ntomato\n```\n\n[there](https://example.com/tomato)."),
        ("de", "Tomate", "Die Tomatenpflanzen."),
        ("ru", "огурец", "Сажаем помидоры."),
        ("zh", "番茄", "我们种黄瓜。"),
        ("ar", "طماطم", "نزرع الخيار."),
        ("ko", "토마토", "오이를 심다."),
        ("hi", "टमाटर", "खीरा लगाएं।"),
    ],
)
def test_a_keyword_that_does_not_occur_fails_the_article(language: str, keyword: str, text: str) -> None:
    (finding,) = found("keyword_use", text.replace("`tomato`", "it"), keywords=[keyword], language=language)
    assert (finding.severity, finding.measured, finding.limit) == (Severity.FAIL, 0, 1)
    assert repr(keyword) in finding.message


def text_with(count: int, total: int, word: str = "tomato") -> str:
    return " ".join([word] * count) + " " + words_of(total - count)


@pytest.mark.parametrize(
    ("count", "total", "fault"),
    [
        (3, 100, ""),
        (4, 100, "more than 3 %"),
        (31, 1_000, "more than 3 %"),
        (30, 1_000, ""),
        (5, 1_000, ""),
        (4, 1_000, "less than 0.5 %"),
        (50, 99, ""),  # too short to be judged
    ],
)
def test_the_density_has_two_limits(count: int, total: int, fault: str) -> None:
    found_faults = problems(text_with(count, total), ["tomato"], title="tomato")
    assert [fault in one for one in found_faults] == ([True] if fault else [])


def test_the_density_of_a_script_without_spaces_is_its_share_of_the_signs() -> None:
    assert problems("番茄" * 3 + "字" * 194, ["番茄"], "zh", title="番茄") == []
    (fault,) = problems("番茄" * 4 + "字" * 192, ["番茄"], "zh", title="番茄")
    assert "more than 3 %" in fault


def test_only_keywords_in_focus_need_a_density_and_their_places() -> None:
    body = "Tomatoes.\n\n## Tomatoes\n\n" + words_of(900) + " peppers " + "tomato " * 5
    assert problems(body, ["tomato", "pepper"], title="Tomatoes") == []
    assert len(problems(body, ["tomato", "pepper"], title="Tomatoes", limits={"focus": 2})) == 4


BODY = "Pots first.\n\nTomatoes later.\n\n## Soil\n\nTomatoes need it."


def test_a_keyword_is_looked_for_in_title_first_paragraph_and_heading() -> None:
    findings = found("keyword_use", BODY, keywords=["tomato"], title="Pots")
    assert [one.message.partition("is ")[2] for one in findings] == [
        "not in the title",
        "not in the first paragraph",
        "in no heading",
    ]
    assert [one.severity for one in findings] == [Severity.REVIEW] * 3
    assert findings[0].where is not None
    assert findings[0].where.field == "title"
    assert marked(findings[1:2], BODY) == ["Pots first."]


def test_an_article_without_headings_needs_no_keyword_in_one() -> None:
    assert problems("Tomatoes.", ["tomato"], title="Tomato") == []


@pytest.mark.parametrize("keywords", [[], None, "tomato", [""], [3]])
def test_without_keywords_nothing_is_judged(keywords: Any) -> None:
    assert not found("keyword_use", "Text.", keywords=keywords)


@pytest.mark.parametrize("body", ["!" * 20_000, "a " * 10_000, "a-" * 10_000, "](" * 10_000, "\n" * 20_000])
def test_hostile_texts_are_read(body: str) -> None:
    assert len(found("keyword_use", body, keywords=["tomato", "C++", "番茄"])) == 3
