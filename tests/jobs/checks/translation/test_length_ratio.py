"""The length of a translation compared with its source, given the usual lengths of the two languages."""

import pytest

from tests.support.checking import translated

CODE = "length_ratio"


@pytest.mark.parametrize(
    ("languages", "source", "target", "word"),
    [
        ("en sv", "x" * 100, "y" * 39, "short"),
        ("en sv", "x" * 100, "y" * 251, "long"),
        ("en de", "Terms and conditions apply to all orders.", "AGB gelten.", "short"),
        ("en ja", "Terms and conditions apply to all orders.", "規約適用", "short"),
        (
            "en zh",
            "Terms and conditions apply.",
            "条款和条件适用于所有通过我们网站下达的订单以及所有其他的订单",
            "long",
        ),
        ("zh en", "所有订单均适用条款和条件", "Terms", "short"),
        ("en ru", "Water the tomatoes in the morning.", "Полив", "short"),
        ("en ar", "Water the tomatoes in the morning.", "اسق", "short"),
    ],
)
def test_a_translation_out_of_range_is_found(languages: str, source: str, target: str, word: str) -> None:
    (finding,) = translated(CODE, source, target, languages)
    assert word in finding.message
    assert (finding.severity, finding.limit) == ("review", 0.4 if word == "short" else 2.5)


@pytest.mark.parametrize(
    ("languages", "source", "target"),
    [
        ("en sv", "x" * 100, "y" * 40),
        ("en sv", "x" * 100, "y" * 250),
        ("en zh", "The quick brown fox jumps over the lazy dog.", "敏捷的棕色狐狸跳过懒狗。"),
        ("zh en", "敏捷的棕色狐狸跳过了那只懒狗。", "The quick brown fox jumps over the lazy dog."),
        ("ja de", "東京タワーは333メートルの高さです。", "Der Tokyo Tower ist 333 Meter hoch."),
        ("en hi", "Water the tomatoes in the morning.", "सुबह टमाटर को पानी दें।"),
        ("en fi", "Water the tomatoes in the morning.", "Kastele tomaatit aamulla."),
    ],
)
def test_a_translation_in_range_passes(languages: str, source: str, target: str) -> None:
    assert translated(CODE, source, target, languages) == []


def test_short_sources_are_not_judged() -> None:
    assert translated(CODE, "x" * 19, "y", "en sv") == []
    assert len(translated(CODE, "x" * 20, "y", "en sv")) == 1
    assert translated(CODE, "x" * 20, "y", "en sv", {"min_characters": 21}) == []


def test_white_space_at_the_edges_does_not_count() -> None:
    assert translated(CODE, "x" * 19 + " " * 50, "y", "en sv") == []


def test_an_icu_message_is_not_judged() -> None:
    source = "{n, plural, one {# file was deleted} other {# files were deleted}}"
    assert translated(CODE, source, "{n, plural, other {#}}", "en ja") == []
