"""The number of words must be within ten percent of the number asked for, in any script whose words can be counted."""

# ruff: noqa: RUF001 - words of other scripts

from typing import Any

import pytest

from jobs.checks.contract import Contract
from jobs.findings import Severity
from tests.jobs.checks.article.articles import found, words_of


@pytest.mark.parametrize(
    ("words", "target", "limits", "bound"),
    [
        (90, 100, {}, None),
        (110, 100, {}, None),
        (89, 100, {}, 90),
        (111, 100, {}, 110),
        (46, 160, {}, 144),
        (144, 160, {}, None),
        (143, 160, {}, 144),
        (50, 55, {}, None),
        (49, 55, {}, 50),
        (100, 100, {"off_percent": 0}, None),
        (99, 100, {"off_percent": 0}, 100),
        (75, 100, {"off_percent": 25.0}, None),
        (1, 400, {"off_percent": 100}, None),
        (0, 400, {"off_percent": 100}, 1),
    ],
)
def test_the_words_are_within_the_limit(words: int, target: int, limits: dict[str, Any], bound: int | None) -> None:
    findings = found("words_off_target", words_of(words), target_words=target, limits=limits)
    assert [one.limit for one in findings] == ([] if bound is None else [bound])
    assert all(one.measured == words and one.severity is Severity.FAIL for one in findings)


@pytest.mark.parametrize(
    ("language", "body", "target"),
    [
        ("de", "## Erde\n\n" + "Die Erde für Bal\u00adkon-Tomaten ist locker. " * 10, 61),
        ("fr", "L’eau de l'été n'est pas froide. " * 10, 60),
        ("ru", "Поливать помидоры надо утром, каждый день. " * 10, 60),
        ("el", "Ποτίζουμε τις ντομάτες κάθε πρωί. " * 12, 60),
        ("hi", "टमाटर को रोज़ पानी दें। " * 12, 60),
        ("ar", "نسقي الطماطم كل صباح. " * 15, 60),
        ("zh", "番茄每天都要浇水。" * 8, 64),
        ("ja", "トマトに水をやる。" * 8, 64),
        ("ko", "토마토에 매일 물을 준다. " * 15, 60),
    ],
)
def test_words_are_counted_in_each_script(language: str, body: str, target: int) -> None:
    assert not found("words_off_target", body, target_words=target, language=language, limits={"off_percent": 0})


def test_thai_is_not_judged_since_its_words_cannot_be_counted() -> None:
    assert not found("words_off_target", "ปลูกมะเขือเทศ", target_words=400, language="th")


def test_without_a_target_nothing_is_judged() -> None:
    assert not found("words_off_target", "Short.")


def test_the_articles_own_count_is_that_of_the_check() -> None:
    from jobs.kinds.registry import load_kinds

    kind = load_kinds()["article"]
    contract: Contract = kind.contract  # type: ignore[attr-defined]
    assert "words_off_target" in contract.checks
    body = "## मिट्टी\n\nटमाटर को रोज़ पानी दें।"
    (finding,) = found("words_off_target", body, target_words=50, language="hi")
    assert finding.measured == 6
