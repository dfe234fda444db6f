"""Variants that are too alike or too few, in several scripts: at each limit and one beyond."""

# ruff: noqa: RUF001 - signs of other scripts

from typing import Any

import pytest

from jobs.checks.text.variants_alike import CHECKS, likeness
from jobs.findings import Finding
from tests.support.checking import findings_of

LIMITS = CHECKS[0].limits


def found(*variants: str, **request: Any) -> list[Finding]:
    row = {"topic": "tea", "platform": "x", "variants": len(variants), **request}
    return findings_of("variants_alike", "social_post", row, {"text": variants[0], "variants": list(variants)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fresh tea is here!", "fresh tea is here 🍵"),
        ("Our new tea is here: come and try it.", "Our new tea is here. We open at nine today."),
        ("Tea for you and me. Come in.", "Hello! Tea for you and me. Come in. Bye now."),
        ("Unser neuer Tee ist da, kommt vorbei.", "Unser neuer Tee ist da! Ab neun geöffnet."),
        ("Новый чай уже здесь, заходите.", "новый чай уже здесь: заходите"),
        ("新しいお茶が入荷しました。ぜひお試しください。", "新しいお茶が入荷しました！今日から発売です。"),
        ("欢迎品尝我们的新茶，今天上市。", "今天上市：欢迎品尝我们的新茶！"),
        ("नई चाय आ गई है, आज ही आइए।", "नई चाय आ गई है। दुकान नौ बजे खुलती है।"),
        ("وصل الشاي الجديد اليوم فتعالوا", "وصل الشاي الجديد اليوم فتعالوا!"),
        ("새로운 차가 오늘 매장에 들어왔습니다 어서 오세요", "새로운 차가 오늘 매장에 들어왔습니다 많은 관심 바랍니다"),
        ("ชาใหม่มาแล้ววันนี้เชิญแวะมาชิม", "ชาใหม่มาแล้ววันนี้ร้านเปิดเก้าโมง"),
        ("Cafe\u0301 is open", "Caf\u00e9 is open"),
    ],
)
def test_texts_that_say_the_same_are_alike(one: str, other: str) -> None:
    assert likeness(one, other, LIMITS)
    assert likeness(other, one, LIMITS)
    (finding,) = found(one, "Something else entirely, in other words.", other)
    assert finding.severity == "review"
    assert finding.where is not None
    assert (finding.where.field, finding.where.end) == ("variants.2", len(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fresh tea is here!", "Come by for a cup on Sunday."),
        ("Our new tea is now on the shelf.", "Our new tea is great with milk."),
        ("Unser neuer Tee ist da.", "Lust auf eine Tasse am Sonntag?"),
        ("Новый чай уже здесь.", "Загляните к нам на чашку в воскресенье."),
        ("新しいお茶が入荷しました。", "日曜日の一杯はいかがですか。"),
        ("欢迎品尝我们的新茶。", "周日来喝一杯吧。"),
        ("नई चाय आ गई है।", "रविवार को एक कप के लिए आइए।"),
        ("وصل الشاي الجديد.", "تعالوا يوم الأحد إلى فنجان."),
    ],
)
def test_texts_that_differ_are_not_alike(one: str, other: str) -> None:
    assert likeness(one, other, LIMITS) is None
    assert found(one, other) == []


def test_openings_count_at_five_words() -> None:
    four = "One two three four", "is what we say here today.", "was never said by anybody else."
    assert likeness(f"{four[0]} {four[1]}", f"{four[0]} {four[2]}", LIMITS) is None
    assert likeness(f"{four[0]} five {four[1]}", f"{four[0]} five {four[2]}", LIMITS)
    assert likeness(f"{four[0]} five {four[1]}", f"{four[0]} five {four[2]}", {**LIMITS, "opening_words": 0}) is None


@pytest.mark.parametrize(("same", "alike"), [(6, False), (7, True)])
def test_runs_count_from_above_four_tenths(same: int, alike: bool) -> None:
    """Of twelve words there are ten runs of three; six words in common are four of them, and seven are five."""
    shared = [f"same{'x' * n}" for n in range(same)]
    one = " ".join([*(f"one{'x' * n}" for n in range(12 - same)), *shared])
    other = " ".join([*(f"other{'x' * n}" for n in range(12 - same)), *shared])
    assert (likeness(one, other, LIMITS) is not None) == alike


def test_what_the_row_appends_does_not_make_variants_alike() -> None:
    end = "\n\nCome in and have a cup with us!\n\nhttps://tea.example/new\n\n#tea #cup #sunday #shop"
    row = {
        "call_to_action": "Come in and have a cup with us!",
        "link": "https://tea.example/new",
        "hashtags": ["tea", "cup", "sunday", "shop"],
    }
    assert found(f"Fresh tea.{end}", f"Sunday is for friends.{end}", **row) == []


@pytest.mark.parametrize(("wanted", "there", "told"), [(3, 3, 0), (3, 2, 1), (2, 1, 1), (1, 1, 0)])
def test_too_few_variants_are_found(wanted: int, there: int, told: int) -> None:
    texts = ["Fresh tea is here!", "Come by on Sunday for a cup.", "What is your favourite blend?"][:there]
    findings = found(*texts, variants=wanted)
    assert len(findings) == told
    assert [(one.measured, one.limit) for one in findings] == [(there, wanted)] * told


def test_an_output_without_its_variants_has_one() -> None:
    row = {"topic": "tea", "platform": "x", "variants": 2}
    (finding,) = findings_of("variants_alike", "social_post", row, {"text": "Fresh tea."})
    assert (finding.measured, finding.limit) == (1, 2)


def test_posts_of_a_thread_may_begin_alike_but_not_say_the_same() -> None:
    row = {"topic": "tea", "platform": "x", "thread": 2, "thread_numbers": True}

    def thread(*posts: str) -> list[Finding]:
        return findings_of("variants_alike", "social_post", row, {"text": posts[0], "thread": list(posts)})

    begins = "Our new tea is here"
    assert thread(f"{begins} and it is the best of all. (1/2)", f"{begins}, so come by on Sunday at nine. (2/2)") == []
    (finding,) = thread("Our new tea is here. (1/2)", "Our new tea is here! (2/2)")
    assert finding.where is not None
    assert finding.where.field == "thread.1"
