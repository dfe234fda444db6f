"""Shows workers/engines/text/answer_start.py: a schema constrains the answer, and no thoughts before it."""

import pytest

pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from jobs.generation import GenerationRequest, Message, Prompt
from tests.workers.engines.reasoners import REASONERS, Writer
from workers.engines.text.answer_start import AnswerStart
from workers.engines.text.encoding import Encoded

FREE, ANSWER, MARK, EITHER = "free", "answer", "mark", "either"


def looked(name: str, text: str, *, think: bool = True, ask: str = "hi") -> tuple[list[str], str]:
    """Return what may follow after each token of `text`, and the text that is given to the schema."""
    writer = Writer(name)
    flags = {"enable_thinking": think, "none": not think, "thinking": think}
    encoded = writer.encoder.encode(
        GenerationRequest("r", Prompt(messages=(Message("user", ask),), chat_template_kwargs=flags))
    )
    assert isinstance(encoded, Encoded)
    start = AnswerStart(encoded.thinking)
    tokens = writer.tokens(text)
    states, answer = [], ""
    for end in range(len(tokens) + 1):
        found = start.look(tokens[:end])
        answer += found.text + writer.encoder.decode(list(found.tokens))
        states.append(
            {(True, False): ANSWER, (True, True): EITHER, (False, True): MARK}.get(
                (found.answers, bool(found.marks)), FREE
            )
        )
    return states, answer


def test_a_model_without_thoughts_answers_at_once() -> None:
    states, answer = looked("none", '{"a": 1}')
    assert (set(states), answer) == ({ANSWER}, '{"a": 1}')


def test_a_template_that_has_closed_the_thoughts() -> None:
    states, answer = looked("qwen3", '{"a": 1}', think=False)
    assert (set(states), answer) == ({ANSWER}, '{"a": 1}')


def test_a_model_may_begin_with_thoughts_or_with_its_answer() -> None:
    thought, answer = looked("qwen3", '<think>\nHm. {</think>{"a": 1}')
    assert thought[0] == EITHER
    assert thought[1] == FREE
    assert (thought[-1], answer) == (ANSWER, '{"a": 1}')
    at_once, answer = looked("qwen3", '{"a": 1}')
    assert at_once[0] == EITHER
    assert (set(at_once[1:]), answer) == ({ANSWER}, '{"a": 1}')


def test_after_thoughts_the_first_token_of_the_answer_is_constrained_too() -> None:
    writer = Writer("opened")
    tokens = len(writer.tokens("Hm. {</think>"))
    states, answer = looked("opened", 'Hm. {</think>{"a": 1}')
    assert set(states[:tokens]) == {FREE}
    assert states[tokens] == EITHER, "more thoughts may follow"
    assert (set(states[tokens + 1 :]), answer) == ({ANSWER}, '{"a": 1}')


def test_thoughts_may_follow_thoughts() -> None:
    states, answer = looked("opened", 'Hm.</think><think>Or?</think>{"a": 1}')
    assert states.count(EITHER) == 2
    assert (states[-1], answer) == (ANSWER, '{"a": 1}')


@pytest.mark.parametrize(
    ("name", "thoughts"),
    [
        ("special", "Hm.</think>"),
        ("spelled", "Hm.</think>"),
        ("phi4", "<think>Hm.</think>"),
        ("vocabulary", "<think>Hm.</think>"),
        ("magistral", "[THINK]Hm.[/THINK]"),
        ("harmony", "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>"),
        ("harmony", "<|channel|>final<|message|>"),
        ("gemma4", "<|channel>thought\nHm.<channel|>"),
        ("granite", "Here is my thought process: Hm. Here is my response:"),
        ("seed", "<seed:think>Hm.</seed:think>"),
        ("openthinker", "<|begin_of_thought|>Hm.<|end_of_thought|>"),
    ],
)
def test_the_thoughts_of_every_family_are_free(name: str, thoughts: str) -> None:
    assert name in REASONERS
    states, answer = looked(name, thoughts + '{"a": 1}')
    assert states[-1] == ANSWER
    assert answer.replace(" ", "") == '{"a":1}', "some of these tokenizers drop spaces"
    assert FREE in states or MARK in states


def test_a_mark_that_the_prompt_quotes_may_end_thoughts() -> None:
    states, answer = looked("opened", 'It says </think>{"a": 1}', ask="What does </think> mean?")
    assert (states[-1], answer) == (ANSWER, '{"a": 1}')
