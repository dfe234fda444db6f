"""Shows jobs/kinds/translation.py: the words are translated, and everything else stays as it was in the source."""

import re
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds.registry import load_kinds
from jobs.kinds.translation import TranslationRequest, segmented
from tests.support.conversations import converse, failed

EN_DE = {"source_language": "en", "target_language": "de"}
KIND = load_kinds()["translation"]


def source_of(prompt: Prompt) -> str:
    return prompt.messages[1].content.rpartition("\n")[2]


def shout(prompt: Prompt) -> str:
    return source_of(prompt).upper()


MARKDOWN = """# A title

> said - so
- one
  - [x] two
1. three

---
```python
code = "no # title"
~~~
```
2026
~~~~
code
~~~
~~~~
   last  \r
"""


def test_a_translation_keeps_the_form_of_its_source() -> None:
    """Each segment is a prompt. Marks, indentation, code, rules and blank lines stay untouched."""
    output, [prompts] = converse("translation", {**EN_DE, "text": MARKDOWN, "format": "markdown"}, shout)
    sources = ["A title", "said - so", "one", "two", "three", "last"]
    assert [segment.source for segment in output.segments] == sources
    assert [segment.target for segment in output.segments] == [source.upper() for source in sources]
    assert [prompt.label for prompt in prompts] == [f"segment {n}" for n in range(1, 7)]
    changed = [(a, b) for a, b in zip(MARKDOWN.splitlines(), output.text.splitlines(), strict=True) if a != b]
    assert changed[0] == ("# A title", "# A TITLE")
    assert [b for _, b in changed[1:]] == ["> SAID - SO", "- ONE", "  - [x] TWO", "1. THREE", "   LAST  "]
    assert output.text.endswith("   LAST  \r\n")


def test_marks_of_markdown_are_words_of_a_plain_text() -> None:
    assert [line.words for line in segmented("# one\n- two\n", "plain")] == ["# one", "- two"]
    assert [line.words for line in segmented("# one\n- two\n", "markdown")] == ["one", "two"]


def test_a_text_of_signs_and_numbers_needs_no_prompt() -> None:
    output, turns = converse("translation", {**EN_DE, "text": "---\n 42 \n"}, shout)
    assert (output.text, output.segments, turns) == ("---\n 42 \n", (), [])


def test_a_prompt_names_the_languages_and_only_the_terms_of_its_segment() -> None:
    request = {**EN_DE, "target_language": "pt-BR", "text": "A parcel.\nA lamp.", "glossary": {"Parcel": "pacote"}}
    _, [[first, second]] = converse("translation", {**request, "formality": "formal"}, shout)
    for prompt in (first, second):
        assert "from English to Portuguese (pt-BR)" in prompt.messages[1].content
        assert "formal" in prompt.messages[1].content
    assert '"Parcel" as "pacote"' in first.messages[1].content
    assert "pacote" not in second.messages[1].content
    assert first.messages[0] == second.messages[0]
    _, [[plain]] = converse("translation", {**EN_DE, "text": "A lamp."}, shout)
    assert "formal" not in plain.messages[1].content


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        pytest.param("Good night.", " Gute Nacht. \n", "Gute Nacht.", id="space around it"),
        pytest.param("Good night.", '"Gute Nacht."', "Gute Nacht.", id="quoted"),
        pytest.param("Good night.", "Translation: Gute Nacht.", "Gute Nacht.", id="labelled"),
        pytest.param("Good night.", "Here it is:\n\nGute Nacht.", "Gute Nacht.", id="announced"),
        pytest.param("Good night.", "```\nGute Nacht.\n```", "Gute Nacht.", id="fenced"),
        pytest.param("Good night. Bye.", "Gute Nacht.\nAdieu.", "Gute Nacht. Adieu.", id="a line stays a line"),
        pytest.param("Hi. Bye.", "Hallo. Adieu.\n\nThis is German.", "Hallo. Adieu.", id="a remark"),
        pytest.param("Hi. Bye.", "Hallo.\n\nAdieu.", "Hallo. Adieu.", id="no remark: it is needed"),
        pytest.param("Opening hours", "## Zeiten", "Zeiten", id="an added mark"),
        pytest.param("October 3 is free.", "3. Oktober ist frei.", "3. Oktober ist frei.", id="a number is no mark"),
        pytest.param('"Go."', '"Geh."', '"Geh."', id="quoted as its source"),
        pytest.param("Title: Tea", "Titel: Tee", "Titel: Tee", id="labelled as its source"),
        pytest.param("# Tea", "# Tee", "# Tee", id="marked as its source"),
    ],
)
def test_text_that_a_model_puts_around_a_segment_is_taken_off(source: str, answer: str, target: str) -> None:
    output, _ = converse("translation", {**EN_DE, "text": source}, lambda _: answer)
    assert (output.text, output.segments[0].target) == (target, target)


@pytest.mark.parametrize(
    ("source", "answer", "target"),
    [
        pytest.param(
            "Good night.", "Gute Nacht. Gute Nacht. Gute", "Gute Nacht.", id="as many sentences as its source"
        ),
        pytest.param("No mark", "Kein Zeichen. Kein", "Kein Zeichen.", id="at least one"),
        pytest.param("Hi. Bye.", "Hallo. Adieu. Und", "Hallo. Adieu.", id="two"),
    ],
)
def test_a_model_that_runs_on_is_cut_where_the_source_ends(source: str, answer: str, target: str) -> None:
    output, _ = converse("translation", {**EN_DE, "text": source}, lambda _: (answer, "length"))
    assert output.text == target


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param("", "empty_output", id="empty"),
        pytest.param('""', "empty_output", id="nothing in quotes"),
        pytest.param(("Eins. Zwei, drei und", "length"), "output_incomplete", id="cut before its second sentence"),
    ],
)
def test_a_missing_segment_fails_the_row(answer: str | tuple[str, str], code: str) -> None:
    error = failed(
        "translation",
        {**EN_DE, "text": "One. Two.\nThree. Four."},
        lambda prompt: answer if prompt.label == "segment 2" else "Eins. Zwei.",
    )
    assert (error.code, error.field) == (code, "text")
    assert "segment 2" in error.message


def test_fewer_answers_than_segments_fail_the_row() -> None:
    conversation = KIND.compose(TranslationRequest.model_validate({**EN_DE, "text": "one\ntwo"}))
    next(conversation)
    with pytest.raises(CheckFailed) as raised:
        conversation.send([Completion("0", "eins", "stop")])
    assert raised.value.code == "segment_mismatch"


def test_a_segment_may_take_a_token_for_each_letter_and_four_for_each_ideograph() -> None:
    def room(text: str) -> int:
        [prompt] = next(KIND.compose(TranslationRequest.model_validate({**EN_DE, "text": text})))
        return prompt.params.max_tokens

    assert room("a" * 400) == 432
    assert room("茶" * 100) == 432


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"text": " \n"}, "text", id="blank text"),
        pytest.param({"text": "a" * 200_001}, "text", id="too long"),
        pytest.param({"target_language": "deutsch"}, "target_language", id="language"),
        pytest.param({"format": "html"}, "format", id="format"),
        pytest.param({"formality": "rude"}, "formality", id="formality"),
        pytest.param({"glossary": {"a": " "}}, "glossary", id="blank term"),
    ],
)
def test_invalid_requests_are_refused(changed: Mapping[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TranslationRequest.model_validate({**EN_DE, "text": "a", **changed})
    assert [error["loc"][0] for error in raised.value.errors()] == [field]


LINES = st.lists(st.sampled_from(["", "# ", "- ", "1. ", "> ", "```", "~~~", "word", " ", "a b", "**", "\t", "7"]))
TEXTS = st.one_of(st.text(), st.lists(LINES.map("".join)).map("\n".join))


@given(TEXTS, st.sampled_from(["plain", "markdown"]))
def test_segments_put_together_are_the_text(text: str, form: str) -> None:
    lines = segmented(text, form)
    assert "".join(line.before + line.words + line.after for line in lines) == text
    for line in lines:
        assert line.words == line.words.strip()
        assert not line.words or any(map(str.isalpha, line.words))
        assert len((line.words + ".").splitlines()) == 1


@given(TEXTS.filter(lambda text: re.search(r"\S", text)), st.sampled_from(["plain", "markdown"]))
def test_a_translation_has_the_structure_of_its_source(text: str, form: str) -> None:
    """Everything between the words is as it was."""
    conversation = KIND.compose(TranslationRequest.model_validate({**EN_DE, "text": text, "format": form}))
    try:
        prompts = next(conversation)
        conversation.send([Completion(str(n), "Wort", "stop") for n in range(len(prompts))])
    except StopIteration as stop:
        output = stop.value
    wanted = "".join(line.before + ("Wort" if line.words else "") + line.after for line in segmented(text, form))
    assert output.text == wanted


@pytest.mark.parametrize("text", [" " * 190_000 + "a", "a" + " " * 190_000 + "b", "- " * 90_000 + "a", ">" * 190_000])
def test_no_line_takes_long_to_segment(text: str) -> None:
    began = time.process_time()
    segmented(text, "markdown")
    assert time.process_time() - began < 1
