"""The longest text that a request allows: at the limit and one beyond, in each platform's own units."""

import pytest

from jobs.findings import Finding
from tests.support.checking import findings_of, quoted, translated


def posted(text: str, **request: object) -> list[Finding]:
    return findings_of("max_length", "social_post", {"topic": "tea", **request}, {"text": text})


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("abcdef", 6),
        ("дом", 3),
        ("नमस्ते", 3),
        ("👩‍👩‍👧‍👦é", 2),
        ("你好", 2),
    ],
)
def test_a_translation_is_measured_in_characters_as_a_reader_sees_them(text: str, length: int) -> None:
    assert translated("max_length", "x", text, max_length=length) == []
    (finding,) = translated("max_length", "x", text, max_length=length - 1)
    assert (finding.measured, finding.limit, finding.severity) == (length, length - 1, "fail")


@pytest.mark.parametrize(
    ("platform", "text", "length"),
    [
        ("x", "你好", 4),
        ("x", "see https://example.com/a-very-long-path-of-many-letters", 27),
        ("mastodon", "see https://example.com/a-very-long-path-of-many-letters", 27),
        ("bluesky", "👩‍👩‍👧‍👦", 1),
        ("linkedin", "👍", 2),
        ("threads", "👍", 4),
    ],
)
def test_a_post_is_measured_as_its_platform_counts(platform: str, text: str, length: int) -> None:
    assert posted(text, platform=platform, max_length=length) == []
    (finding,) = (
        posted(text, platform=platform, max_length=length - 1)
        if length > 1
        else posted(text * 2, platform=platform, max_length=length)
    )
    assert "counts" in finding.message


def test_the_part_that_is_too_long_is_pointed_at() -> None:
    (finding,) = translated("max_length", "x", "abcdefg", max_length=5)
    assert quoted(finding, "abcdefg") == "fg"
    (finding,) = posted("你好吗朋友", platform="x", max_length=7)
    assert quoted(finding, "你好吗朋友") == "朋友"


@pytest.mark.parametrize("most", [None, 0, -1, True, "5", 5.0])
def test_a_request_without_a_length_allows_any(most: object) -> None:
    assert translated("max_length", "x", "a" * 100, max_length=most) == []
    assert translated("max_length", "x", "a" * 100) == []


@pytest.mark.parametrize(
    ("platform", "text", "told"),
    [
        ("x", "a" * 280, False),
        ("x", "a" * 281, True),
        ("x", "日" * 140, False),
        ("x", "日" * 141, True),
        ("mastodon", "a" * 500, False),
        ("mastodon", "a" * 501, True),
        ("bluesky", "👍🏽" * 300, False),
        ("bluesky", "👨‍👩‍👧" * 167, True),
        ("linkedin", "👍" * 1_501, True),
    ],
)
def test_a_post_keeps_the_limits_of_its_platform(platform: str, text: str, told: bool) -> None:
    assert bool(posted(text, platform=platform)) == told


def test_every_variant_and_every_post_of_a_thread_keeps_them() -> None:
    for field in ("variants", "thread"):
        output = {"text": "Fresh tea.", field: ["Fresh tea.", "a" * 281]}
        (finding,) = findings_of("max_length", "social_post", {"topic": "tea", "platform": "x", field: 2}, output)
        assert finding.where is not None
        assert (finding.where.field, finding.where.start, finding.measured) == (f"{field}.1", 280, 281)
