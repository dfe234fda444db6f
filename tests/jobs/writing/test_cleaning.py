"""Shows jobs/writing/cleaning.py: labels and quotes around a completion are taken off, and each part that is taken off is
recorded.
"""

import time

import pytest

from jobs.writing.cleaning import MAX_REMOVED, CleanedOutput, Draft
from jobs.writing.evidence import Brief, Original
from jobs.writing.labels import CHAPTER, DESCRIPTION, HEADING, INTRODUCTION, POST, SECTION, TITLE, TRANSLATION

NOTHING = Brief("")
"""A request that explains nothing."""


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        pytest.param(' Title: "Tea" ', "Tea", id="label and quotes"),
        pytest.param("**Title:** Tea", "Tea", id="label in bold"),
        pytest.param("**Title: Tea**", "Tea", id="label and text in bold"),
        pytest.param("Meta description: Tea.", "Tea.", id="label of two words"),
        pytest.param("\u201cTea\u201d", "Tea", id="typographic quotes"),
        pytest.param("\u201eTea\u201c", "Tea", id="German quotes"),
        pytest.param("\u00ab\u00a0Tea\u00a0\u00bb", "Tea", id="French quotes"),
        pytest.param("\u00bbTea\u00ab", "Tea", id="guillemets that point inwards"),
        pytest.param("\u300eTea\u300f", "Tea", id="Japanese quotes"),
        pytest.param("**Tea**", "Tea", id="bold"),
        pytest.param("*Tea*", "Tea", id="italic"),
        pytest.param("<h1>Tea</h1>", "Tea", id="tags"),
        pytest.param('"Go" and "come"', '"Go" and "come"', id="quotes within"),
        pytest.param("**A** and **B**", "**A** and **B**", id="bold within"),
        pytest.param("Titles are hard", "Titles are hard", id="a word like a label"),
        pytest.param("Title:", "Title:", id="nothing after a label"),
        pytest.param('"', '"', id="one quote"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_labels_and_quotes_around_a_text(text: str, rest: str) -> None:
    draft = Draft(text)
    draft.drop_around(NOTHING, TITLE, DESCRIPTION)
    assert draft.text == rest


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        pytest.param("1. **First steps**", "First steps", id="number"),
        pytest.param("(2) Going on", "Going on", id="number in brackets"),
        pytest.param("- Tea", "Tea", id="bullet"),
        pytest.param("> Tea", "Tea", id="block quote"),
        pytest.param("### Tea", "Tea", id="heading"),
        pytest.param("#2: Tea", "Tea", id="number sign"),
        pytest.param("IV. Tea", "Tea", id="Roman number"),
        pytest.param("b) Tea", "Tea", id="letter"),
        pytest.param("3.5 litres", "3.5 litres", id="a decimal"),
        pytest.param("2026 in review", "2026 in review", id="a year"),
        pytest.param("#tea", "#tea", id="a hashtag"),
        pytest.param("C. Dickens", "C. Dickens", id="a name"),
    ],
)
def test_list_marks(line: str, rest: str) -> None:
    draft = Draft(line)
    draft.drop_around(NOTHING, TITLE, ordinals=False)
    assert draft.text == rest


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        pytest.param("```markdown\nTea.\n```", "Tea.", id="around all"),
        pytest.param("~~~\nTea.\n~~~\n", "Tea.", id="tildes"),
        pytest.param("```\nTea.", "Tea.", id="cut before its end"),
        pytest.param("```\na\n```\nand\n```\nb\n```", "```\na\n```\nand\n```\nb\n```", id="two within"),
        pytest.param("Tea.\n```\na\n```", "Tea.\n```\na\n```", id="one within"),
        pytest.param("```python\na\n```", "```python\na\n```", id="code"),
        pytest.param(" Tea. ", "Tea.", id="none"),
        pytest.param("```", "", id="nothing else"),
    ],
)
def test_a_fence_around_a_text(text: str, rest: str) -> None:
    draft = Draft(text)
    draft.drop_fence(of_text=True)
    assert draft.text == rest


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        pytest.param("Here's a paragraph on tea:\n\nTea.", "Tea.", id="a line before it"),
        pytest.param("Sure! Here it is:\n```\nTea.\n```", "```\nTea.\n```", id="and a fence around it"),
        pytest.param('Here is a title: "Tea"', '"Tea"', id="before a quote"),
        pytest.param("Here is what you need: tea.", "Here is what you need: tea.", id="a sentence"),
        pytest.param("Here are three reasons:\n- tea", "Here are three reasons:\n- tea", id="a list of its own"),
        pytest.param("What you need:\n- tea", "What you need:\n- tea", id="a list"),
        pytest.param("Here it is:", "Here it is:", id="nothing follows"),
    ],
)
def test_an_announcement_before_a_text(text: str, rest: str) -> None:
    draft = Draft(text)
    draft.drop_announcement(NOTHING, TITLE, SECTION)
    assert draft.text == rest


def test_what_is_taken_off_is_recorded_in_its_order() -> None:
    draft = Draft('Here is a title:\n\n2. **Title (short):** "Tea at home"')
    draft.drop_announcement(NOTHING, TITLE)
    draft.drop_around(NOTHING, TITLE, ordinals=False)
    draft.cut_to("Tea")
    assert draft.text == "Tea"
    assert draft.removed == ["Here is a title:", "2.", "**Title (short):**", '""', "at home"]


def test_the_record_is_short_and_holds_no_mere_marks() -> None:
    draft = Draft("Tea")
    for part in ("", " \n", "---", "**", "x" * 5_000, '"'):
        draft.note(part)
    assert [len(part) for part in draft.removed] == [MAX_REMOVED, 1]


def test_labels_are_taken_off_only_so_deep() -> None:
    draft = Draft("- " * 100 + "Tea")
    draft.drop_around(NOTHING, TITLE, ordinals=False)
    assert draft.text.startswith("- ")


def test_what_was_removed_is_no_field_of_an_output() -> None:
    class Output(CleanedOutput):
        text: str

    output = Output(text="Tea").with_removed({"title": ["Title:"], "outline": []})
    assert output.removed == {"title": ("Title:",)}
    assert output.model_dump() == {"text": "Tea"}
    assert list(Output.model_fields) == ["text"]


@pytest.mark.parametrize(
    "text",
    [
        "." * 100_000 + "x",
        " " * 100_000 + "x",
        "*" * 100_000,
        "- " * 50_000,
        '"' * 100_000,
        "1. " * 30_000,
        "Title: " * 15_000,
        "here is a post " * 7_000,
        "Sure! " * 20_000,
        "\u4ee5\u4e0b\u306f" * 30_000,
    ],
)
def test_no_text_takes_long_to_clean(text: str) -> None:
    began = time.process_time()
    for evidence in (Brief("Tea"), Brief(text), Original(text)):
        draft = Draft(text)
        draft.drop_fence()
        draft.drop_announcement(evidence, TITLE, POST, TRANSLATION)
        draft.drop_around(evidence, TITLE, HEADING, CHAPTER, INTRODUCTION, ordinals=False)
        evidence.explains_quotes("Tea")
    Original(text).covered_by(text, text)
    assert time.process_time() - began < 5
