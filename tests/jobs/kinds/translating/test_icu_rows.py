"""Shows that a plain row with an ICU message comes back valid, with its arguments and the plural categories of its language."""

import re

import pytest

from jobs.checks.signs.icu import Argument, parse
from jobs.generation import Prompt
from jobs.marks.plural_keys import categories_of
from tests.support.conversations import converse
from tests.support.icu_messages import MESSAGES

SIGN = re.compile(r"(?:XQ|QX|ZQ|QZ)[A-Z]+")


def moved(prompt: Prompt) -> str:
    """An answer in other words, with the signs at other places and an apostrophe."""
    assert prompt.translatable is not None
    signs = SIGN.findall(prompt.translatable.text)
    return " ".join([*signs[1:], "l'mot {", *signs[:1], "'dit"])


def choosing(text: str) -> dict[str, Argument]:
    return {one.name: one for one in parse(text).walk() if one.forms}


@pytest.mark.parametrize("language", ["pl", "ar", "ja"])
@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_valid_in_the_target_language(message: str, language: str) -> None:
    row = {"text": message, "source_language": "en", "target_language": language}
    output, _ = converse("translation", row, moved)
    before, after = choosing(message), choosing(output.text)
    assert before.keys() == after.keys()
    for name, one in after.items():
        explicit = [word for word in before[name].selectors if word.startswith("=")]
        if one.type == "select":
            assert one.selectors == before[name].selectors
        else:
            wanted = categories_of(language, is_ordinal=one.type == "selectordinal")
            assert one.selectors == [*explicit, *wanted]
    assert {one.name for one in parse(message).walk()} == {one.name for one in parse(output.text).walk()}


def test_the_sentences_of_a_message_are_asked_for_side_by_side_and_once_each() -> None:
    row = {
        "text": "You have {n, plural, one {# file} other {# files}}.",
        "source_language": "en",
        "target_language": "pl",
    }
    output, [prompts] = converse("translation", row, lambda prompt: f"<{prompt.translatable.text}>")  # type: ignore[union-attr]
    assert [prompt.translatable.text for prompt in prompts] == ["You have XQA file.", "You have XQA files."]  # type: ignore[union-attr]
    assert [prompt.label for prompt in prompts] == ["segment 1, part 1", "segment 1, part 2"]
    assert choosing(output.text)["n"].selectors == ["one", "few", "many", "other"]
    assert [one.source for one in output.segments] == [row["text"]]


def test_a_message_over_lines_among_other_lines_is_one_unit() -> None:
    row = {
        "text": "Title\n{n, plural,\n one {# line}\n other {# lines}}\nEnd",
        "source_language": "en",
        "target_language": "de",
    }
    output, _ = converse("translation", row, lambda prompt: prompt.translatable.text.lower())  # type: ignore[union-attr]
    assert output.text == "title\n{n, plural, one {# line} other {# lines}}\nend"


def test_marks_that_a_row_gives_are_taken_as_they_are() -> None:
    """Who gives the marks of a sentence has cut its message already."""
    text = "{n, plural, one {# file} other {# files}}"
    marks = [{"start": 0, "end": len(text)}]
    row = {"text": f"{text} left", "marks": marks, "source_language": "en", "target_language": "pl"}
    output, [[prompt]] = converse("translation", row, lambda _: "XQA zostało")
    assert output.text == f"{text} zostało"
    assert prompt.translatable is not None
    assert prompt.translatable.text == "XQA left"


def test_a_message_that_is_not_valid_is_asked_for_as_it_stands() -> None:
    row = {"text": "{n, plural, one {# file}} left", "source_language": "en", "target_language": "pl"}
    _, [prompts] = converse("translation", row, lambda prompt: prompt.translatable.text)  # type: ignore[union-attr]
    assert len(prompts) == 1
