"""Tests the most tokens of a row: no conversation with a model that writes as much as it may is charged for more."""

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard
from jobs.checks.checker import UNCHECKED
from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds.first_prompts import first_prompts, most_tokens
from jobs.kinds.kind import begin
from jobs.kinds.registry import load_kinds

KINDS = load_kinds()
STUB = ModelCard(engine="stub")
ROWS: Mapping[str, tuple[str, Mapping[str, Any], int | None]] = {
    "a chat": ("chat", {"prompt": "Say something."}, None),
    "three answers": ("chat", {"prompt": "Say something.", "n": 3}, 40),
    "a completion": ("completion", {"prompt": "Tomatoes need"}, 12),
    "an article": ("article", {"topic": "Tea", "target_words": 600}, None),
    "an article with all": ("article", {"topic": "Tee", "language": "de", "summary": True, "faq": 4}, None),
    "a given outline": ("article", {"topic": "Tea", "outline": ["One", "Two", "Three"]}, 300),
    "a post": ("social_post", {"topic": "Tea", "platform": "x"}, None),
    "a translation": (
        "translation",
        {"text": "Water the tea.\nDrink it.", "source_language": "en", "target_language": "de"},
        None,
    ),
}


def as_row(kind: str, request: Mapping[str, Any], own: int | None) -> RowRequest:
    return RowRequest(row=0, line=1, kind=kind, model="stub", request=request, max_tokens=own)


def longest(prompt: Prompt, own: int | None) -> Completion:
    """An answer that ends at its limit, in words of the sort that each kind accepts."""
    tokens = own or prompt.params.max_tokens
    text = "\n".join(f"{n}. Word and word." for n in range(1, 1 + max(1, tokens // 5)))
    prompts = sum(len(text.split()) for text in [prompt.text, *(turn.content for turn in prompt.messages)])
    return Completion("r", text, "stop", prompt_tokens=prompts, completion_tokens=tokens)


@pytest.mark.parametrize("name", ROWS)
def test_no_conversation_takes_more_than_the_bound(name: str) -> None:
    kind, request, own = ROWS[name]
    row = as_row(kind, request, own)
    most = most_tokens(row, KINDS[kind], first_prompts(row, KINDS[kind]), STUB)
    conversation = begin(KINDS[kind], KINDS[kind].request_type.model_validate(request), UNCHECKED)
    charged: dict[str, Completion] = {}
    with contextlib.suppress(StopIteration, CheckFailed):
        prompts = next(conversation)
        while True:
            answers = [longest(one, own) for one in prompts]
            for one, answer in zip(prompts, answers, strict=True):
                charged.pop(one.replaces or "", None)  # an answer that is thrown away is not charged
                charged[one.label] = answer
            prompts = conversation.send(answers)
    assert 0 < sum(one.completion_tokens for one in charged.values()) <= most.completion
    assert 0 < sum(one.prompt_tokens for one in charged.values()) <= most.prompt


def test_own_max_tokens_includes_thoughts() -> None:
    card = ModelCard(source="a/b")
    for own, thoughts in ((None, card.reasoning_max_tokens), (40, 0)):
        row = as_row("chat", {"prompt": "Hi"}, own)
        assert most_tokens(row, KINDS["chat"], first_prompts(row, KINDS["chat"]), card).thoughts == thoughts
    row = as_row("chat", {"prompt": "Hi"}, None)
    none = ModelCard(source="a/b", reasoning="none")
    assert most_tokens(row, KINDS["chat"], first_prompts(row, KINDS["chat"]), none).thoughts == 0


def test_a_checked_prompt_may_be_asked_again_with_its_answer() -> None:
    row = as_row("chat", {"prompt": "Hi"}, 500)
    prompts = first_prompts(row, KINDS["chat"])
    checked = most_tokens(row, KINDS["chat"], prompts, ModelCard(source="a/b"))
    assert checked.prompt >= most_tokens(row, KINDS["chat"], prompts, STUB).prompt + 500
    assert checked.completion == 500


def test_scored_labels_are_bounded_by_their_bytes() -> None:
    row = as_row("label", {"text": "Good tea.", "labels": ["good", "bad"], "calibrate": False}, None)
    most = most_tokens(row, KINDS["label"], first_prompts(row, KINDS["label"]), STUB)
    assert len("good") + len("bad") < most.completion < 30
