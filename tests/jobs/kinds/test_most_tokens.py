"""Shows jobs/kinds/most_tokens.py: no row uses more tokens than its kind says, even if each text goes to its limit."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from jobs.checks.checker import UNCHECKED
from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt
from jobs.kinds.kind import begin
from jobs.kinds.most_tokens import most_of
from jobs.kinds.registry import load_kinds
from tests.support.notes import NoteKind

KINDS: Final = load_kinds()
LONG: Final = "word " * 400


def longest(prompt: Prompt, max_tokens: int | None) -> Completion:
    """A completion that goes to its limit, after a prompt with a token for each three bytes and those of a template."""
    texts = [message.content for message in prompt.messages] or [prompt.text]
    read = sum(len(text.encode()) for text in texts) // 3 + 8 * len(texts)
    written = max_tokens or prompt.params.max_tokens
    if prompt.continuations:
        written = sum(len(text.encode()) for text in prompt.continuations)
    return Completion("r", "Sound words for a text that is kept here. " * 3, "stop", read, 0, written)


def used(kind: Any, request: Mapping[str, Any], max_tokens: int | None) -> tuple[int, int]:
    """The tokens of the kept prompts and completions of a row, up to where its kind refuses such answers."""
    conversation = begin(kind, kind.request_type.model_validate(request), UNCHECKED)
    kept: dict[str, Completion] = {}
    answers: list[Completion] | None = None
    try:
        while True:
            prompts = next(conversation) if answers is None else conversation.send(answers)
            answers = [longest(prompt, max_tokens) for prompt in prompts]
            for prompt, answer in zip(prompts, answers, strict=True):
                kept.pop(prompt.replaces or "", None)
                kept[prompt.label] = answer
    except (StopIteration, CheckFailed):
        return sum(one.prompt_tokens for one in kept.values()), sum(one.completion_tokens for one in kept.values())


@pytest.mark.parametrize("max_tokens", [None, 700])
@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        pytest.param("chat", {"prompt": "x"}, id="a short chat"),
        pytest.param("chat", {"prompt": LONG, "n": 5}, id="five answers"),
        pytest.param("completion", {"prompt": LONG}, id="completion"),
        pytest.param("label", {"text": LONG, "labels": ["a", "b", "long label"]}, id="label"),
        pytest.param("article", {"topic": "Tea"}, id="article"),
        pytest.param(
            "article", {"topic": "Tee", "language": "de", "target_words": 2000, "faq": 3, "summary": True}, id="long"
        ),
        pytest.param(
            "article", {"topic": "Tea", "target_words": 50, "outline": ["A", "B", "C"] * 5}, id="many headings"
        ),
        pytest.param("social_post", {"topic": "Tea", "platform": "x"}, id="post"),
        pytest.param("social_post", {"topic": "Tea", "platform": "linkedin", "variants": 4}, id="variants"),
        pytest.param(
            "translation",
            {"text": "Open the folder.", "source_language": "en", "target_language": "de"},
            id="translation",
        ),
        pytest.param(
            "translation",
            {"text": f"{LONG}\n\n{LONG}\n\n- One\n- Two", "source_language": "en", "target_language": "de"},
            id="paragraphs",
        ),
    ],
)
def test_no_row_uses_more_than_its_kind_says(kind: str, request_: dict[str, Any], max_tokens: int | None) -> None:
    found = KINDS[kind]
    prompt, completion = most_of(found, found.request_type.model_validate(request_), max_tokens, 0)
    read, written = used(found, request_, None if kind == "label" else max_tokens)
    assert 0 < read <= prompt
    assert 0 < written <= completion or kind == "label"


def test_thoughts_come_on_top_unless_the_row_limits_all() -> None:
    chat = KINDS["chat"]
    request = chat.request_type.model_validate({"prompt": "x", "n": 2})
    assert most_of(chat, request, None, 100)[1] == 2 * (256 + 100)
    assert most_of(chat, request, 50, 100)[1] == 2 * 50


def test_a_kind_that_does_not_know_is_estimated_on_the_safe_side() -> None:
    kind = NoteKind()
    request = kind.request_type.model_validate({"title": "x"})
    prompt, completion = most_of(kind, request, None, 0)
    assert completion == 8 * kind.expected_tokens(request)
    assert prompt > 8 * kind.expected_tokens(request)
