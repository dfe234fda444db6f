"""Shows that a text which a model returns as it was shown comes back as it is: only what a model added is taken off."""

from typing import Any

import pytest

from jobs.findings import CheckSetting, Severity
from jobs.generation import Prompt
from tests.support.conversations import checker_of, converse

CHECKED = {"untranslated": CheckSetting(severity=Severity.OFF)}
"""All checks of the kind but the one that refuses a text which was not translated."""


def echoed(prompt: Prompt) -> str:
    assert prompt.translatable is not None
    return prompt.translatable.text


@pytest.mark.parametrize("target", ["fr", "de", "ja"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("two  blanks,   three", id="blanks"),
        pytest.param("a\ttab and a\u00a0hard space", id="tab"),
        pytest.param("a soft\nline break", id="soft break"),
        pytest.param("a hard break  \nof Markdown", id="hard break"),
        pytest.param("one\r\ntwo\r\n  indented {name}", id="Windows"),
        pytest.param("One paragraph.\n\n\n  Another one.", id="paragraphs"),
        pytest.param("  edges {name}  ", id="edges"),
        pytest.param("Translation: a word", id="label"),
        pytest.param("Translation:\n\nA word here.", id="label on its line"),
        pytest.param("Sure! Here is the translation:\nA word", id="announcement"),
        pytest.param('"In quotes"', id="quotes"),
        pytest.param("**bold**", id="emphasis"),
        pytest.param("- a point", id="bullet"),
        pytest.param("1. a  point", id="number"),
        pytest.param("```\ncode of words\n```", id="fence"),
        pytest.param('{"translation": "a word"}', id="JSON"),
        pytest.param("What now ? Yes !", id="a space before the end mark"),
        pytest.param("End。", id="end mark of another script"),
        pytest.param("Words (12 words)", id="count"),
        pytest.param("A sentence.  Another <b>one  more</b>.  " * 60, id="parts"),
        pytest.param("长句子。" * 300, id="parts without spaces"),
    ],
)
def test_a_segment_that_comes_back_unchanged_stays_as_it_is(text: str, target: str) -> None:
    row: dict[str, Any] = {"text": text, "source_language": "en", "target_language": target, "format": "segment"}
    output, _ = converse("translation", row, echoed)
    assert output.text == text
    output, _ = converse("translation", row, echoed, checker_of("translation", row, CHECKED))
    assert output.text == text


def test_white_space_that_a_model_adds_is_taken_off() -> None:
    row = {"text": "a word", "source_language": "en", "target_language": "de", "format": "segment"}
    output, _ = converse("translation", row, lambda _: "  ein   Wort\n")
    assert output.text == "ein Wort"


def test_wide_space_of_the_source_stays_in_its_translation() -> None:
    row = {"text": "a  word", "source_language": "en", "target_language": "de", "format": "segment"}
    output, _ = converse("translation", row, lambda _: "ein  Wort")
    assert output.text == "ein  Wort"
