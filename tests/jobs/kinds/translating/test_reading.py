"""Shows jobs/kinds/translating/reading.py: what a model gives back unchanged stays unchanged, whatever it looks like."""

import pytest

from tests.support.conversations import converse

EN_FR = {"source_language": "en", "target_language": "fr", "format": "segment"}

TEXTS = [
    "Two  spaces, and   three.",
    "A soft\nline break, and\n  an indented one.",
    "a\tb\tc with tabs",
    "Translation: the art of losing nothing",
    '"Quoted" from end to "end"',
    '"All of it is quoted."',
    "Note: read this first.\n\nThen this.",
    "- a list, as it seems",
    "1. One point of many",
    "# No heading",
    "Sure, here is the translation you asked for",
    "Here is the text:\n\nHello there",
    "```\nfenced words\n```",
    '{"text": "words in JSON"}',
    "word\u2028separated and\x0btabbed, \x85next",
    "no-break\u00a0space, thin\u202fspace, wide\u3000space",
    "`code`  **bold**   <b>tag</b>",
    "%s  of  %d   files",
]


@pytest.mark.parametrize("text", TEXTS)
def test_an_answer_that_is_the_source_is_not_touched(text: str) -> None:
    output, _ = converse("translation", {**EN_FR, "text": text}, lambda prompt: prompt.translatable.text)  # type: ignore[union-attr]
    assert output.text == text
    assert not output.removed


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        pytest.param("one  two", "un  deux", "un  deux", id="the source has wide space"),
        pytest.param("one two", "un  deux", "un deux", id="the source has none"),
        pytest.param("one\ttwo", "un\tdeux", "un\tdeux", id="a tab"),
        pytest.param("one  two\nthree", "un  deux \n trois", "un  deux\ntrois", id="lines"),
    ],
)
def test_wide_space_stays_where_the_source_has_it(source: str, answer: str, target: str) -> None:
    output, _ = converse("translation", {**EN_FR, "text": source}, lambda _: answer)
    assert output.text == target
