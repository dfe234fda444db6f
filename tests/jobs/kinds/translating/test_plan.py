"""Shows jobs/kinds/translating/plan.py and parts.py: what is asked for, once each, with what stands before it, and the whole."""

# ruff: noqa: RUF001 - marks of other scripts

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.checker import UNCHECKED
from jobs.generation import Completion, Prompt
from jobs.kinds.registry import load_kinds
from jobs.kinds.translating.memory import Forgetful
from jobs.kinds.translating.parts import MOST_CHARACTERS, MOST_IDEOGRAPHS
from jobs.kinds.translating.plan import Plan
from jobs.kinds.translating.request import TranslationRequest
from tests.support.conversations import checker_of, converse

EN_DE = {"source_language": "en", "target_language": "de"}


def plan_of(text: str, **more: Any) -> Plan:
    return Plan(TranslationRequest.model_validate({**EN_DE, "text": text, **more}), Forgetful())


def asked(plan: Plan) -> list[str]:
    return [one.part.text for one in plan.questions]


def same(plan: Plan) -> str:
    return plan.text(plan.targets(asked(plan)))


def test_equal_lines_are_asked_for_once() -> None:
    text = "Save\nCancel\nSave\n- Save\n"
    plan = plan_of(text, format="markdown")
    assert asked(plan) == ["Save", "Cancel"]
    output, [prompts] = converse("translation", {**EN_DE, "text": text, "format": "markdown"}, lambda one: one.label)
    assert [prompt.label for prompt in prompts] == ["segment 1", "segment 2"]
    assert output.text == "segment 1\nsegment 2\nsegment 1\n- segment 1\n"
    assert len(output.segments) == 4


def test_lines_with_other_marks_are_asked_for_each() -> None:
    assert asked(plan_of("Hi {a}\nHi {b}")) == ["Hi {a}", "Hi {b}"]


def test_a_line_is_told_the_sentence_before_it_without_its_marks() -> None:
    plan = plan_of("One is here. Two is {name} <b>there</b>.\n\nThree.")
    assert [one.part.before for one in plan.questions] == ["", "Two is … there."]
    _, [prompts] = converse("translation", {**EN_DE, "text": "One.\nTwo."}, lambda _: "Wort.")
    assert "is translated already: One.\n" in prompts[1].messages[-1].content
    assert prompts[1].translatable is not None
    assert prompts[1].translatable.before == "One."


def test_a_context_is_in_the_prompt_alone() -> None:
    row = {**EN_DE, "text": "Open", "context": "A button for files.", "max_length": 10}
    output, [[prompt]] = converse("translation", row, lambda _: "Öffnen")
    assert "is not to be translated: A button for files.\n" in prompt.messages[-1].content
    assert "Write at most 10 characters." in prompt.messages[-1].content
    assert output.text == "Öffnen"


def test_a_segment_that_is_too_long_is_asked_for_again() -> None:
    row = {**EN_DE, "text": "Open the file now", "max_length": 12, "format": "segment"}
    answers = ["Datei jetzt öffnen", "Öffnen"]
    output, turns = converse("translation", row, lambda _: answers.pop(0), checker_of("translation", row))
    assert output.text == "Öffnen"
    assert "allows 12" in turns[1][0].messages[-1].content


def test_a_segment_is_one_unit_and_keeps_its_edges_and_lines() -> None:
    text = "\n  First line\nsecond line \n"
    plan = plan_of(text, format="segment")
    assert asked(plan) == ["First line\nsecond line"]
    output, _ = converse("translation", {**EN_DE, "text": text, "format": "segment"}, lambda _: "Erste\nzweite")
    assert output.text == "\n  Erste\nzweite \n"


def test_paragraphs_of_a_segment_are_asked_for_side_by_side() -> None:
    plan = plan_of("<p>One {a}.\n\nTwo.</p>", format="segment")
    assert asked(plan) == ["<p>One {a}.", "Two.</p>"]
    assert same(plan) == "<p>One {a}.\n\nTwo.</p>"
    assert [one.name for one in plan.questions] == ["segment 1, part 1", "segment 1, part 2"]


def test_tags_around_all_of_a_part_are_not_shown() -> None:
    plan = plan_of("<p><b>Save</b></p>\n<i>a</i> and <i>b</i>")
    assert asked(plan) == ["Save", "<i>a</i> and <i>b</i>"]
    assert plan.text(plan.targets(["Sichern", "x"])) == "<p><b>Sichern</b></p>\nx"


SENTENCE = "This sentence has {n} words and some more of them, said Mr. Smith. "


def test_long_units_go_in_parts_of_whole_sentences() -> None:
    text = SENTENCE * 60
    plan = plan_of(text.strip())
    assert len(plan.questions) < 6, "equal parts are asked for once"
    plan = plan_of("".join(f"{n} {SENTENCE}" for n in range(60)).strip())
    assert all(len(one) <= MOST_CHARACTERS and one.endswith("Smith.") for one in asked(plan))
    assert all(one.part.before.endswith("said Mr. Smith.") for one in plan.questions[1:])
    assert same(plan) == plan.request.text


@pytest.mark.parametrize("target", ["zh", "ja"])
def test_no_space_between_sentences_where_a_language_writes_none(target: str) -> None:
    plan = plan_of("".join(f"{n} {SENTENCE}" for n in range(40)).strip(), target_language=target)
    assert plan.text(plan.targets(["句。"] * len(plan.questions))) == "句。" * len(plan.questions)


def test_a_space_between_sentences_where_the_source_writes_none() -> None:
    text = "".join(f"这是第{n}句话，有很多字。" for n in range(90))
    plan = plan_of(text, source_language="zh", target_language="en")
    assert len(plan.questions) > 2
    assert all(len(one) <= MOST_IDEOGRAPHS for one in asked(plan))
    assert plan.text(plan.targets(["A."] * len(plan.questions))) == " ".join(["A."] * len(plan.questions))


WORDS = [
    "word ",
    "Wort. ",
    "{a}",
    "<b>",
    "</b>",
    "\n\n",
    "\n",
    ", ",
    "語",
    "。",
    "https://b.example/x",
    "x" * 300,
    "{" * 3,
    " ",
]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=80), st.sampled_from(["plain", "segment"]))
def test_parts_put_together_are_the_text(words: list[str], form: str) -> None:
    text = "".join(words)
    if not text.strip():
        return
    plan = plan_of(text, format=form)
    assert re.sub(r"\s+", "", same(plan)) == re.sub(r"\s+", "", text)
    for one in plan.questions:
        assert all(one.part.text[mark.start : mark.end] == mark.text for mark in one.part.marks)


@dataclass
class Remembering:
    """A memory of two mappings, which notes what was reported."""

    targets: Mapping[str, str]
    hints: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reported: tuple[int, list[str]] | None = None

    def target(self, segment: str) -> str | None:
        return self.targets.get(segment)

    def hint(self, segment: str) -> Any:
        @dataclass
        class Similar:
            source: str
            target: str

        return Similar(*self.hints[segment]) if segment in self.hints else None

    def report(self, segments: int, taken: list[str]) -> None:
        self.reported = (segments, taken)


def conversation(text: str, memory: Remembering, *answers: str) -> tuple[Any, list[Prompt]]:
    kind = load_kinds()["translation"]
    request = TranslationRequest.model_validate({**EN_DE, "text": text})
    turns = kind.compose(request, UNCHECKED, memory)  # type: ignore[call-arg]  # of this kind alone
    prompts: list[Prompt] = []
    try:
        prompts = list(next(turns))
        turns.send([Completion(str(n), one, "stop") for n, one in enumerate(answers)])
    except StopIteration as stop:
        return stop.value, prompts
    raise AssertionError("the conversation goes on")


def test_known_segments_are_taken_without_a_question() -> None:
    memory = Remembering({"Save": "Sichern", "Hi {name}": "Hallo {name}"}, {"Quit now": ("Quit", "Beenden")})
    output, [prompt] = conversation("Save\nHi {name}\nQuit now", memory, "Jetzt beenden")
    assert output.text == "Sichern\nHallo {name}\nJetzt beenden"
    assert memory.reported == (3, ["Save", "Hi {name}"])
    assert '"Quit" was translated as "Beenden".' in prompt.messages[-1].content
    output, prompts = conversation("Save", memory)
    assert (output.text, prompts) == ("Sichern", [])


def test_a_known_segment_with_a_damaged_mark_is_asked_for() -> None:
    memory = Remembering({"Hi {name}": "Hallo"})
    output, [_] = conversation("Hi {name}", memory, "Hallo XQA")
    assert output.text == "Hallo {name}"
    assert memory.reported == (1, [])


@pytest.mark.parametrize(
    "known", ["{n, plural, other {# Dateien}", "{m, plural, one {# Datei} other {# Dateien}}", "Dateien"]
)
def test_a_known_message_that_is_not_valid_or_lost_an_argument_is_asked_for(known: str) -> None:
    text = "{n, plural, one {# file} other {# files}}"
    output, prompts = conversation(text, Remembering({text: known}), "XQA Datei", "XQA Dateien")
    assert (len(prompts), output.text) == (2, "{n, plural, one {# Datei} other {# Dateien}}")


def test_a_known_segment_that_a_check_refuses_is_asked_for() -> None:
    memory = Remembering({"Pay 10 euros": "Zahle 12 Euro"})
    request = TranslationRequest.model_validate({**EN_DE, "text": "Pay 10 euros"})
    checker = checker_of("translation", {**EN_DE, "text": "Pay 10 euros"})
    assert asked(Plan(request, memory, checker)) == ["Pay 10 euros"]
