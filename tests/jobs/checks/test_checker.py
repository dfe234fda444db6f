"""Shows jobs/checks/checker.py: the checks of one row, as settings change them."""

import dataclasses
from collections.abc import Iterator

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.findings import CheckSetting, Severity, verdict_of
from tests.support.conversations import checker_of

ROW = {"prompt": "Write a greeting."}
BROKEN = "Dear all, <|im_start|> welcome to our shop."


def test_findings_are_those_of_the_row_with_the_worst_first() -> None:
    found = checker_of("chat", ROW).findings(f"{BROKEN} It is open in the the morning.", tries=2)
    assert [(one.code, one.severity, one.tries) for one in found] == [
        ("chat_markup", Severity.FAIL, 2),
        ("doubled_word", Severity.REVIEW, 2),
    ]
    assert verdict_of(found) == "failed"
    assert [one.code for one in checker_of("chat", ROW).faults(f"{BROKEN} It is open in the the morning.")] == [
        "chat_markup"
    ]


def test_later_settings_replace_earlier_ones() -> None:
    setting, row = (
        {"chat_markup": CheckSetting(severity=Severity.OFF)},
        {"chat_markup": CheckSetting(severity=Severity.NOTE)},
    )
    assert checker_of("chat", ROW, setting).findings(BROKEN) == []
    assert [one.severity for one in checker_of("chat", ROW, setting, row).findings(BROKEN)] == [Severity.NOTE]
    assert checker_of("chat", ROW, row, setting).findings(BROKEN) == []


def test_limits_are_those_of_the_row() -> None:
    changed = {"words_off_target": CheckSetting(off_percent=25)}
    row = {"topic": "Tea"}
    assert checker_of("article", row, changed).limits("words_off_target") == {"off_percent": 25}
    off = {"words_off_target": CheckSetting(severity=Severity.OFF)}
    assert checker_of("article", row, off).limits("words_off_target") is None
    assert checker_of("chat", ROW).limits("words_off_target") is None, "it is no check of chats"


def test_the_defaults_of_a_request_count() -> None:
    """An article without `target_words` is asked for with 400 words."""
    (found,) = [
        one
        for one in checker_of("article", {"topic": "Tea"}).findings({"body_markdown": "Tea is good.\n"})
        if one.code == "words_off_target"
    ]
    assert found.limit == 360


def test_each_answer_of_a_chat_is_judged() -> None:
    output = {"text": "Dear all, welcome.", "choices": ["Dear all, welcome.", BROKEN]}
    (found,) = checker_of("chat", ROW).findings(output)
    assert found.where is not None
    assert (found.where.field, BROKEN[found.where.start : found.where.end]) == ("choices.1", "<|im_start|>")
    again = {"text": BROKEN, "choices": [BROKEN, "Dear all, welcome."]}
    assert [one.where.field for one in checker_of("chat", ROW).findings(again) if one.where] == ["text"]


def test_a_row_without_checks_has_no_findings() -> None:
    assert UNCHECKED.findings(BROKEN) == []
    assert UNCHECKED.limits("chat_markup") is None


def test_a_check_that_raises_is_for_review_and_hides_no_other() -> None:
    def breaks(subject: Subject, limits: Limits) -> Iterator[Broken]:
        yield Broken("found before it broke")
        raise ZeroDivisionError("by zero")

    own = Check("own", Severity.FAIL, "Breaks.", breaks)
    checker = Checker("chat", ROW, Contract(texts={"text": "plain"}), (own, *checker_of("chat", ROW).checks))
    found = checker.findings(BROKEN)
    assert [(one.code, one.severity) for one in found] == [
        ("own", Severity.FAIL),
        ("chat_markup", Severity.FAIL),
        ("own", Severity.REVIEW),
    ]
    assert "ZeroDivisionError" in found[-1].message
    assert dataclasses.replace(checker, checks=()).findings(BROKEN) == []
