"""Shows jobs/kinds/article.py: an article of a small model is whole, or fails with a code."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds.article import DEFAULT_OUTLINE, ArticleRequest
from jobs.kinds.registry import load_kinds
from tests.support.conversations import converse, failed

KIND = load_kinds()["article"]
Written = str | tuple[str, str]
"""A completion: a text, or a text and its finish reason."""


def writer(**steps: Written) -> Callable[[Prompt], Written]:
    """Return a model that answers a prompt with the text for the first word of the prompt's label. Without such a text, the
    answer is a whole sentence.
    """
    return lambda prompt: steps.get(prompt.label.split()[0], f"This is the {prompt.label}.")


def headings_of(output: Any) -> list[str]:
    return re.findall(r"^## (.*)$", output.body_markdown, re.MULTILINE)


def test_an_article_is_an_outline_then_sections_then_title_and_description() -> None:
    output, turns = converse(
        "article",
        {"topic": "Tea", "target_words": 240},
        writer(
            outline="1. **First steps**\n2. First steps\n- Going on\nTitle:\n",
            title='Title: "Über Tea & Co."\nmore',
            meta="Meta description: All about tea.",
        ),
    )
    assert [[prompt.label for prompt in turn] for turn in turns] == [
        ["outline"],
        ["section 1", "section 2"],
        ["title", "meta description"],
    ]
    assert output.model_dump() == {
        "title": "Über Tea & Co.",
        "slug": "uber-tea-co",
        "meta_description": "All about tea.",
        "body_markdown": "## First steps\n\nThis is the section 1.\n\n## Going on\n\nThis is the section 2.\n",
        "word_count": 14,
    }


def test_a_given_outline_is_kept() -> None:
    output, turns = converse("article", {"topic": "Tea", "outline": ["Leaves", "Water", "1. Time"]}, writer())
    assert len(turns[0]) == 3
    assert headings_of(output) == ["Leaves", "Water", "1. Time"]


@pytest.mark.parametrize(
    ("written", "headings"),
    [
        pytest.param("Here they are:\n1) One\n\n2) Two.\n3) Three", ["One", "Two", "Three"], id="numbers"),
        pytest.param("One; Two; Three", ["One", "Two", "Three"], id="on one line"),
        pytest.param("One\nTwo\nThree\nFour\nFive", ["One", "Two", "Three"], id="too many"),
        pytest.param("```\n# One\n## Two\n```", ["One", "Two"], id="Markdown in a fence"),
        pytest.param("One\nTWO\nTwo\none", ["One", "TWO"], id="each once"),
        pytest.param(("One\nTwo\nThr", "length"), ["One", "Two"], id="the last one cut"),
        pytest.param("word " * 40, [*DEFAULT_OUTLINE[:2], DEFAULT_OUTLINE[-1]], id="no heading"),
        pytest.param("", [*DEFAULT_OUTLINE[:2], DEFAULT_OUTLINE[-1]], id="nothing"),
    ],
)
def test_an_outline_is_read_leniently(written: Written, headings: list[str]) -> None:
    output, _ = converse("article", {"topic": "Tea", "target_words": 360}, writer(outline=written))
    assert headings_of(output) == headings


@pytest.mark.parametrize(
    ("fields", "headings"),
    [
        pytest.param({"target_words": 100}, ["Tea"], id="one section"),
        pytest.param({"target_words": 240}, ["Introduction", "In short"], id="two"),
        pytest.param({"target_words": 5_000}, list(DEFAULT_OUTLINE), id="as many as there are"),
        pytest.param({"target_words": 360, "language": "de"}, ["Tea"], id="no English headings in German"),
    ],
)
def test_the_default_outline_if_the_model_writes_none(fields: Mapping[str, Any], headings: list[str]) -> None:
    output, _ = converse("article", {"topic": "Tea", **fields}, writer(outline=" "))
    assert headings_of(output) == headings


@pytest.mark.parametrize(
    ("written", "section"),
    [
        pytest.param("## Leaves\n\nGreen.\n", "Green.", id="its heading again"),
        pytest.param("**Leaves:**\nGreen.", "Green.", id="its heading in bold"),
        pytest.param("Green.\n# Black\nToo.", "Green.\n### Black\nToo.", id="a further heading"),
        pytest.param("# Else\nGreen.", "Green.", id="another heading first"),
        pytest.param("Green\n---\nBlack\n===\nToo.", "Green\nBlack\nToo.", id="underlined headings"),
        pytest.param("- a\n- b\n\n\n\nEnd.", "- a\n- b\n\nEnd.", id="lists and paragraphs"),
        pytest.param("```markdown\nGreen.\n```", "Green.", id="fenced as a whole"),
        pytest.param("See:\n```\n# not a heading\n```", "See:\n```\n# not a heading\n```", id="code within"),
        pytest.param(("Green. Black is", "length"), "Green.", id="cut"),
        pytest.param(("Green:\n- a\n- b\n- c an", "length"), "Green:\n- a\n- b", id="cut in a list"),
        pytest.param(("See.\n```\nrun it.\nand th", "length"), "See.\n```\nrun it.\n```", id="cut in code"),
    ],
)
def test_a_section_is_markdown_below_its_heading(written: Written, section: str) -> None:
    output, _ = converse("article", {"topic": "Tea", "outline": ["Leaves"]}, writer(section=written))
    assert output.body_markdown == f"## Leaves\n\n{section}\n"


@pytest.mark.parametrize(
    ("heading", "written", "section"),
    [
        ("Water", "You need:\n- Water\n- Leaves", "You need:\n- Water\n- Leaves"),
        ("Water", "- Water\n- Leaves", "- Water\n- Leaves"),
        ("Leaves", "Here are three reasons:\n\n- green", "Here are three reasons:\n\n- green"),
        ("Leaves", "Here is the section:\n\nGreen.", "Green."),
        ("Leaves", "Sure! Here it is:\n\nGreen.", "Green."),
        ("Leaves", 'Write the section "Leaves" in about 400 words.\nGreen.', "Green."),
        ("Leaves", "Section 1: Leaves\n\nGreen.", "Green."),
        ("Leaves", "```python\nprint(1)\n```", "```python\nprint(1)\n```"),
        ("Leaves", "Green.\n\n## Section 3: Liability\nToo.", "Green.\n\n### Liability\nToo."),
        ("Leaves", "Green.\n\n## 2.\nToo.", "Green.\n\nToo."),
        ("Leaves", "Here's a paragraph on tea:\n\nTea.", "Tea."),
        ("Leaves", "Section 2\n\nGreen.", "Green."),
        ("Leaves", "**Section 2: Leaves**\n\nGreen.", "Green."),
        ("Leaves", "Leaves: they are green.", "Leaves: they are green."),
        ("Leaves", "Green.\nLeaves\nToo.", "Green.\nLeaves\nToo."),
        ("Leaves", "Of course they are green.\n\nToo.", "Of course they are green.\n\nToo."),
        ("Leaves", "Here are the sections of the plant:\n\n- leaf", "Here are the sections of the plant:\n\n- leaf"),
        ("Leaves", '"Green" is a word.', '"Green" is a word.'),
        ("Leaves", "1. Boil\n2. Pour", "1. Boil\n2. Pour"),
        ("Leaves", "Title: Leaves\n\nGreen.", "Green."),
        ("Leaves", "Topic: Tea\nGreen.", "Green."),
    ],
)
def test_a_section_loses_only_what_is_no_part_of_it(heading: str, written: str, section: str) -> None:
    output, _ = converse("article", {"topic": "Tea", "outline": [heading]}, writer(section=written))
    assert output.body_markdown == f"## {heading}\n\n{section}\n"


@pytest.mark.parametrize(
    ("written", "section"),
    [
        ('{"content": "Leaves are green.\\n\\nThey grow."}', "Leaves are green.\n\nThey grow."),
        ('```json\n{"heading": "Tea", "text": "Leaves are green."}\n```', "Leaves are green."),
        ('It is this:\n\n```json\n{"a": "b"}\n```', 'It is this:\n\n```json\n{"a": "b"}\n```'),
        ('```json\n{"a": "b"}\n```\n\nSo it is.', '```json\n{"a": "b"}\n```\n\nSo it is.'),
    ],
)
def test_json_around_a_section_is_taken_off_and_an_example_stays(written: str, section: str) -> None:
    request = {"topic": "Tea", "outline": ["Tea"]}
    output, _ = converse("article", request, lambda prompt: written if prompt.label.startswith("section") else "Tea")
    assert output.body_markdown == f"## Tea\n\n{section}\n"


def test_the_output_holds_what_was_taken_off_by_prompt() -> None:
    output, _ = converse(
        "article",
        {"topic": "Tea", "target_words": 240},
        writer(
            outline="Sure! Here are 2 headings:\n1. Leaves\n2. Section 2: Water",
            title="Title: Tea\nfor you",
            section="Here is the section:\n\nGreen.",
        ),
    )
    assert output.removed == {
        "outline": ("Sure! Here are 2 headings:", "1.", "2.", "Section 2:"),
        "section 1": ("Here is the section:",),
        "section 2": ("Here is the section:",),
        "title": ("Title:", "for you"),
    }
    assert "removed" not in output.model_dump()


@pytest.mark.parametrize(
    ("written", "code"),
    [
        pytest.param("", "empty_output", id="nothing"),
        pytest.param("## Leaves\n---\n...", "empty_output", id="no word below its heading"),
        pytest.param(("No sentence ends here", "length"), "output_incomplete", id="cut before its first sentence"),
        pytest.param(("//. Tea is", "length"), "output_incomplete", id="no word in what is whole"),
        pytest.param(("", "length"), "empty_output", id="nothing up to max_tokens"),
    ],
)
def test_an_article_that_cannot_be_published(written: Written, code: str) -> None:
    request = {"topic": "Tea", "outline": ["Water", "Leaves"]}
    error = failed("article", request, lambda p: written if p.label.startswith("section 2") else "A sentence.")
    assert error.code == code
    assert "'Leaves'" in error.message


@pytest.mark.parametrize(
    "first", [pytest.param("## Leaves", id="nothing"), pytest.param(("Leaves are a", "length"), id="no whole sentence")]
)
def test_a_bad_section_is_asked_for_again(first: Written) -> None:
    """A bad section does not fail a long article. Only the section that replaces it is billed."""
    answers = {"section 2": first, "section 2, try 2": first, "section 2, try 3": "Dry them.", "section 4": first}
    output, turns = converse(
        "article",
        {"topic": "Tea", "outline": ["Water", "Leaves", "Cups", "Time"]},
        lambda prompt: answers.get(prompt.label, f"This is {prompt.label}."),
    )
    assert [[(prompt.label, prompt.replaces) for prompt in turn] for turn in turns[1:-1]] == [
        [("section 2, try 2", "section 2"), ("section 4, try 2", "section 4")],
        [("section 2, try 3", "section 2, try 2")],
    ]
    assert ["whole sentences" in p.messages[1].content for p in (turns[0][1], turns[1][0], turns[2][0])] == [
        False,
        True,
        True,
    ]
    assert re.findall(r"^[A-Z].*\.$", output.body_markdown, re.MULTILINE) == [
        "This is section 1.",
        "Dry them.",
        "This is section 3.",
        "This is section 4, try 2.",
    ]


@pytest.mark.parametrize(
    ("written", "title"),
    [
        pytest.param("# Tea\nfor you", "Tea", id="its first line"),
        pytest.param("\n\n  “Tea” ", "Tea", id="bare"),
        pytest.param("", "Growing\ntea".replace("\n", " "), id="none: the topic"),
        pytest.param(("Tea is what we all want and", "length"), "Growing tea", id="cut: the topic"),
        pytest.param(("Tea\nis what we", "length"), "Tea", id="cut after its first line"),
        pytest.param("tea " * 40, "tea " * 29 + "tea…", id="too long"),
    ],
)
def test_the_title_is_one_line(written: Written, title: str) -> None:
    output, _ = converse("article", {"topic": "Growing\ntea", "outline": ["A"]}, writer(title=written))
    assert output.title == title


@pytest.mark.parametrize(
    ("written", "description"),
    [
        pytest.param("Tea, in short.\n\nMore of it.", "Tea, in short.", id="its first paragraph"),
        pytest.param(("Tea. And", "length"), "Tea.", id="cut"),
        pytest.param("", "See all of it here.", id="none: the first words"),
        pytest.param(("Tea and", "length"), "See all of it here.", id="cut before its first sentence"),
        pytest.param("A sentence of tea. " * 10, ("A sentence of tea. " * 8).strip(), id="whole sentences that fit"),
    ],
)
def test_the_description_is_short(written: Written, description: str) -> None:
    section = "See **all** of [it](https://a.example) `here`.\n\nNot this."
    output, _ = converse("article", {"topic": "Tea", "outline": ["A"]}, writer(section=section, meta=written))
    assert output.meta_description == description


@pytest.mark.parametrize(
    ("section", "words"),
    [
        pytest.param("It's a well-known fact.", 5, id="Latin"),
        pytest.param("茶を飲む ok。", 6, id="an ideograph is a word"),
        pytest.param("**bold** _it_ 3", 4, id="marks are none"),
    ],
)
def test_words_are_counted(section: str, words: int) -> None:
    output, _ = converse("article", {"topic": "Tea", "outline": ["A"]}, writer(section=section))
    assert output.word_count == words


def test_the_target_decides_how_many_tokens_a_section_may_take() -> None:
    def room(**fields: Any) -> list[int]:
        prompts = next(KIND.compose(ArticleRequest.model_validate({"topic": "Tea", "outline": ["A", "B"], **fields})))
        return [prompt.params.max_tokens for prompt in prompts]

    assert room(target_words=100) < room(target_words=200) < room(target_words=200, language="fi")
    # sections do not become longer, so that each stays within a small model's context
    assert room(target_words=5_000) == room(target_words=4_000)


def test_prompts_have_the_values_of_the_row_after_a_beginning_that_all_rows_share() -> None:
    """The system turn and the first line of the user's turn hold no value of a row, so they are computed once for all rows."""
    shared: dict[str, set[tuple[str, str]]] = {}
    for word in ("Oolong", "Sencha"):
        request = {"topic": word, "audience": f"{word}-A", "tone": f"{word}-T", "brand_voice": f"{word}-V"}
        _, turns = converse("article", {**request, "keywords": [f"{word}-K"], "language": "de-AT"}, writer())
        for prompt in (prompt for turn in turns for prompt in turn):
            system, user = (message.content for message in prompt.messages)
            assert all(f"{word}-{letter}" in user for letter in "ATVK")
            assert "Language: Austrian German" in user
            shared.setdefault(prompt.label.split()[0], set()).add((system, user.splitlines()[0]))
    assert {len(beginnings) for beginnings in shared.values()} == {1}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"topic": " "}, "topic", id="blank topic"),
        pytest.param({"target_words": 49}, "target_words", id="too short"),
        pytest.param({"target_words": 5_001}, "target_words", id="too long"),
        pytest.param({"outline": []}, "outline", id="no headings"),
        pytest.param({"outline": ["a\n## b"]}, "outline", id="a heading of two lines"),
        pytest.param({"language": "klingon"}, "language", id="language"),
        pytest.param({"keywords": [""]}, "keywords", id="blank keyword"),
        pytest.param({"words": 100}, "words", id="unknown field"),
    ],
)
def test_invalid_requests_are_refused(changed: Mapping[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ArticleRequest.model_validate({"topic": "Tea", **changed})
    assert raised.value.errors()[0]["loc"][0] == field


PIECES = st.sampled_from(
    ["Tea. ", "tea ", "\n", "## ", "- ", "```\n", "1. ", "Title: ", '"', "**", "---\n", "茶。", "\n\n"]
)
WRITTEN = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join))


@given(st.lists(st.tuples(WRITTEN, st.sampled_from(["stop", "length"])), min_size=1, max_size=8))
def test_any_text_of_a_model_makes_a_whole_article_or_a_code(written: list[tuple[str, Any]]) -> None:
    conversation = KIND.compose(ArticleRequest(topic="Tea", target_words=240))
    code = None
    try:
        prompts, n = next(conversation), 0
        while True:
            answers = [written[(n + at) % len(written)] for at in range(len(prompts))]
            n += len(prompts)
            prompts = conversation.send([Completion("", text, reason) for text, reason in answers])
    except StopIteration as stop:
        output = stop.value
        assert 1 <= len(headings_of(output)) <= 2 + output.body_markdown.count("```")
        assert sum(line.startswith("```") for line in output.body_markdown.splitlines()) % 2 == 0
        assert "\n" not in output.title + output.meta_description
    except CheckFailed as error:
        code = error.code
    assert code in {None, "empty_output", "output_incomplete"}
