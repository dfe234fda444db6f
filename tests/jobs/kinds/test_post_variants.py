"""Shows the variants of a post: they differ from each other, or are asked for again, or are left out and told."""

from collections.abc import Mapping
from typing import Any

import pytest

from jobs.findings import CheckSetting, Severity
from jobs.generation import Prompt
from tests.support.conversations import KINDS, checker_of, converse, failed

ROW: Mapping[str, Any] = {"topic": "Our bakery opens on Sundays", "platform": "x"}
THREE = {**ROW, "variants": 3}
ONE = "Fresh rolls on Sundays, too: our oven is on from eight."
TWO = "Sunday breakfast? We have you covered with warm bread."
SAME = "Fresh rolls on Sundays, too! Our oven is on from eight."
OTHER = "Sleep in, then come by: the bakery is open all morning."


def by_label(answers: Mapping[str, str]) -> Any:
    return lambda prompt: answers[prompt.label]


def labels(turns: list[list[Prompt]]) -> list[list[str]]:
    return [[prompt.label for prompt in turn] for turn in turns]


def test_variants_are_asked_for_side_by_side_and_stand_in_the_output() -> None:
    answers = {"post 1": ONE, "post 2": TWO, "post 3": OTHER}
    row = {**THREE, "hashtags": ["bread"]}
    output, turns = converse("social_post", row, by_label(answers), checker_of("social_post", row))
    assert labels(turns) == [["post 1", "post 2", "post 3"]]
    assert output.variants == tuple(f"{text}\n\n#bread" for text in (ONE, TWO, OTHER))
    assert output.text == output.variants[0]
    assert output.lengths == tuple(map(len, output.variants))
    assert output.length == output.lengths[0]
    openings = {prompt.messages[-1].content for prompt in turns[0]}
    assert len(openings) == 3, "each is asked to begin in another way"


def test_one_post_has_no_list_of_variants() -> None:
    output, [[prompt]] = converse("social_post", ROW, lambda _: ONE)
    assert (output.variants, output.thread, output.lengths) == (None, None, None)
    assert "variants" not in output.model_dump()
    assert "Begin with" not in prompt.messages[-1].content


def test_a_variant_that_is_like_another_is_asked_for_again_with_the_others_named() -> None:
    answers = {"post 1": ONE, "post 2": SAME, "post 3": TWO, "post 2, try 2": OTHER}
    output, turns = converse("social_post", THREE, by_label(answers), checker_of("social_post", THREE))
    assert labels(turns)[1:] == [["post 2, try 2"]]
    (again,) = turns[1]
    assert again.replaces == "post 2"
    for other in (ONE, TWO):
        assert other in again.messages[-1].content
        assert other in again.quotes, "what stands in other posts is no instruction"
    assert "shorter" not in again.messages[-1].content
    assert output.variants == (ONE, OTHER, TWO)


@pytest.mark.parametrize("again", [0, 1, 2])
def test_what_stays_alike_is_left_out_and_found(again: int) -> None:
    checker = checker_of("social_post", THREE, again=again)
    output, turns = converse("social_post", THREE, lambda _: ONE, checker)
    assert len(turns) == again + 1
    assert output.variants == (ONE,)
    (found,) = [one for one in checker.findings(output.model_dump(mode="json")) if one.code == "variants_alike"]
    assert (found.measured, found.limit, found.severity) == (1, 3, Severity.REVIEW)


def test_a_repeated_post_is_left_out_without_a_checker_too() -> None:
    output, _ = converse("social_post", THREE, lambda prompt: TWO if prompt.label == "post 3" else ONE)
    assert output.variants == (ONE, TWO)


def test_a_row_that_turns_the_check_off_takes_what_comes() -> None:
    off = {"variants_alike": CheckSetting(severity=Severity.OFF)}
    output, turns = converse("social_post", THREE, lambda _: ONE, checker_of("social_post", THREE, off))
    assert output.variants == (ONE, ONE, ONE)
    assert len(turns) == 1


def test_a_variant_that_cannot_be_read_is_left_out() -> None:
    answers = {"post 1": "#only", "post 1, try 2": "#only", "post 1, try 3": "", "post 2": TWO, "post 3": OTHER}
    output, turns = converse("social_post", THREE, by_label(answers), checker_of("social_post", THREE))
    assert labels(turns)[1:] == [["post 1, try 2"], ["post 1, try 3"]]
    assert output.variants == (TWO, OTHER)
    assert output.text == TWO


def test_a_variant_that_a_check_refuses_is_asked_for_again_and_then_left_out() -> None:
    gap = "Come to [Insert address] on Sunday!"
    output, turns = converse(
        "social_post",
        THREE,
        lambda prompt: gap if prompt.label.startswith("post 2") else {"post 1": ONE, "post 3": OTHER}[prompt.label],
        checker_of("social_post", THREE),
    )
    assert labels(turns)[1:] == [["post 2, try 2"], ["post 2, try 3"]]
    assert "[Insert address]" in turns[1][0].messages[-1].content
    assert output.variants == (ONE, OTHER)


def test_if_no_variant_can_be_published_the_judge_sees_them() -> None:
    checker = checker_of("social_post", THREE)
    output, _ = converse("social_post", THREE, lambda _: "Come to [Insert address] on Sunday!", checker)
    assert checker.faults(output.model_dump(mode="json"))


def test_if_no_variant_can_be_read_the_row_fails() -> None:
    assert failed("social_post", THREE, lambda _: "").code == "empty_output"
    assert failed("social_post", THREE, lambda _: "a" * 300).code == "post_too_long"


def test_every_variant_is_judged() -> None:
    row = {**ROW, "variants": 2}
    output = {"text": ONE, "variants": [ONE, "Come to [Insert address] on Sunday!"], "hashtags": []}
    (found,) = [one for one in checker_of("social_post", row).faults(output) if one.code == "gap"]
    assert found.where is not None
    assert found.where.field == "variants.1"


@pytest.mark.parametrize("count", [1, 2, 10])
def test_more_variants_take_more_tokens(count: int) -> None:
    kind = KINDS["social_post"]
    request = kind.request_type.model_validate({**ROW, "variants": count})
    assert kind.expected_tokens(request) == 45 * count
