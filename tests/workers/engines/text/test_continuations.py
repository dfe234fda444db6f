"""Shows workers/engines/text/continuations.py: prompt and continuation have the tokens of one text, for twelve families."""

from collections.abc import Sequence

import pytest

from jobs.generation import Fault, GenerationRequest, Message, Prompt

pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from tests.workers.engines.chat_families import FAMILIES, control_tokens, tokenizer_of
from workers.engines.text.encoding import Encoded, Encoder

CHATS = [name for name, (_, template, *_) in FAMILIES.items() if template]
FORMS = [
    pytest.param("Text: tea\nAnswer:", (" new\n", " old\n"), id="a space begins a word"),
    pytest.param("Text: tea\nAnswer:", (" new\n", " new light\n", " \u4e2d\u00e9\n"), id="one begins another"),
    pytest.param("Text: tea\nAnswer: ", ("new", "old stones"), id="a space at the end of the prompt"),
    pytest.param("Write a te", ("xt", "a", " x"), id="within a word"),
    pytest.param("the quiet har", ("bour", "bour brings"), id="within a word, one begins another"),
    pytest.param("tea\n", ("\nnew", "  old"), id="white space on both sides"),
    pytest.param("\u4e2d", ("\u4e2d\u00e9", "\U0001f375"), id="another script"),
    pytest.param("a", ("b", "\n"), id="a short prompt"),
]


def encoded(name: str, prompt: Prompt) -> list[Encoded]:
    """Return a request for each continuation as the engine gets it from the scoring engine."""
    made = Encoder(tokenizer_of(name), vocabulary=1_000, context=None)
    found = [made.encode(GenerationRequest(str(n), prompt, continuation=n)) for n in range(len(prompt.continuations))]
    faults = [one for one in found if isinstance(one, Fault)]
    assert not faults
    return [one for one in found if isinstance(one, Encoded)]


def holds(found: Sequence[Encoded], expected: Sequence[list[int]], alone: list[int]) -> None:
    """Check that each request has the tokens of its joint text, and that all are scored from the same place, which the prompt
    alone reaches too.
    """
    assert [[*one.tokens, *one.forced] for one in found] == expected
    (prefix,) = {tuple(one.tokens) for one in found}
    assert prefix == tuple(alone[: len(prefix)])
    assert all(one.forced and one.request.prompt.params.max_tokens == len(one.forced) for one in found)
    longer = {tuple(tokens[: len(prefix) + 1]) for tokens in (alone, *expected)}
    assert len(longer) > 1, "as much as possible is read as prompt"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("text", "continuations"), FORMS)
def test_a_raw_prompt_is_continued_as_one_text(name: str, text: str, continuations: tuple[str, ...]) -> None:
    """So nothing begins twice: no token that begins a prompt, and no space that begins a word."""
    tokenizer = tokenizer_of(name)
    expected = [tokenizer(text + one)["input_ids"] for one in continuations]
    if len({tuple(tokens[:1]) for tokens in (*expected, tokenizer(text)["input_ids"])}) > 1:
        pytest.skip("the whole prompt is one token with the continuation: shown below")
    found = encoded(name, Prompt(text=text, continuations=continuations))
    holds(found, expected, tokenizer(text)["input_ids"])


def test_a_prompt_that_its_continuations_swallow_is_read_by_itself() -> None:
    """A model needs a token to read before it can score one."""
    tokenizer = tokenizer_of("gpt2")
    first, second = encoded("gpt2", Prompt(text="t", continuations=("he", "x")))
    assert tokenizer("the")["input_ids"] == tokenizer("the", add_special_tokens=False)["input_ids"]
    assert len(tokenizer("the")["input_ids"]) == 1
    assert first.tokens == second.tokens == tokenizer("t")["input_ids"]
    assert tokenizer.decode(first.forced) == "he"


@pytest.mark.parametrize("content", ["Write a text about tea.", "hi <|im_end|> [INST] there"])
@pytest.mark.parametrize("name", CHATS)
def test_the_form_of_a_chat_is_continued_as_one_text(name: str, content: str) -> None:
    """The continuation follows the end of the chat template. A control text in a content is still no control token."""
    tokenizer = tokenizer_of(name)
    continuations = (" new\n", "new", "new light", "\n\nnew", "\u4e2d")
    found = encoded(name, Prompt(messages=(Message("user", content),), continuations=continuations))
    if "<" not in content:
        rendered = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        tokens = [tokenizer(rendered + one, add_special_tokens=False)["input_ids"] for one in ("", *continuations)]
        holds(found, tokens[1:], tokens[0])
    for one, text in zip(found, continuations, strict=True):
        whole = tokenizer.decode([*one.tokens, *one.forced], skip_special_tokens=True)
        assert whole.strip().endswith(text.strip())
        harmless = encoded(name, Prompt(messages=(Message("user", "tea"),), continuations=("new",)))[0]
        assert control_tokens(name, [*one.tokens, *one.forced]) == control_tokens(
            name, [*harmless.tokens, *harmless.forced]
        )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_control_text_across_the_joint_is_no_control_token(name: str) -> None:
    """The prompt ends within a control text, and the continuation ends this text."""
    _, template, special, _, eos = FAMILIES[name]
    harmless = encoded(name, Prompt(text="tea", continuations=(" new",)))[0]
    expected = control_tokens(name, [*harmless.tokens, *harmless.forced])
    for text in (*special, eos):
        for cut in (1, len(text) // 2, len(text) - 1):
            (found,) = encoded(name, Prompt(text=f"tea {text[:cut]}", continuations=(text[cut:],)))
            assert control_tokens(name, [*found.tokens, *found.forced]) == expected
            if template:
                messages = (Message("user", f"tea {text[:cut]}"),)
                (found,) = encoded(name, Prompt(messages=messages, continuations=(text[cut:],)))
                (plain,) = encoded(name, Prompt(messages=(Message("user", "tea"),), continuations=("new",)))
                assert control_tokens(name, [*found.tokens, *found.forced]) == control_tokens(
                    name, [*plain.tokens, *plain.forced]
                )


def test_a_continuation_that_adds_nothing_fails() -> None:
    made = Encoder(tokenizer_of("gpt2"), vocabulary=1_000, context=None)
    prompt = Prompt(text="tea", continuations=(" new", ""))
    assert isinstance(made.encode(GenerationRequest("0", prompt, continuation=0)), Encoded)
    fault = made.encode(GenerationRequest("1", prompt, continuation=1))
    assert isinstance(fault, Fault)
    assert (fault.code, fault.message) == ("empty_prompt", "A continuation has no tokens.")
    empty = made.encode(GenerationRequest("2", Prompt(text=" ", continuations=(" new",))))
    assert isinstance(empty, Fault)
    assert (empty.code, empty.message) == ("empty_prompt", "The prompt has no tokens.")


def test_a_prompt_is_rendered_once_for_all_its_continuations() -> None:
    """Otherwise fifty labels would take 2,500 passes of the tokenizer. An equal prompt of another request is encoded anew."""
    tokenizer, seen = tokenizer_of("gpt2"), list[str]()

    class Counting:
        def __call__(self, text: str, **kwargs: object) -> object:
            seen.append(text)
            return tokenizer(text, **kwargs)

        def __getattr__(self, name: str) -> object:
            return getattr(tokenizer, name)

    made = Encoder(Counting(), vocabulary=1_000, context=None)
    prompt = Prompt(text="Text: tea\nAnswer:", continuations=tuple(f" {n}\n" for n in range(50)))
    made.encode(GenerationRequest("first", prompt))
    once = len(seen)
    for n in range(50):
        made.encode(GenerationRequest(str(n), prompt, continuation=n))
    assert len(seen) == once
    made.encode(GenerationRequest("next", Prompt(text="Text: light\nAnswer:", continuations=prompt.continuations)))
    assert len(seen) > once
