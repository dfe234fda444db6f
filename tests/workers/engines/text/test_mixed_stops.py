"""Shows workers/engines/text/mixed_stops.py: stop texts of special tokens and words end a completion.

`<|im_start|>` and `<|im_end|>` are special tokens of the model; its end token is `<eos>`.
"""

from typing import Any

import pytest

pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from tests.workers.engines.reasoners import Writer

WRITTEN = "I am here.\n<|im_end|>\nUser: and you?<|im_end|><|im_start|>user\nMe too."


@pytest.mark.parametrize("name", ["none", "qwen3", "vocabulary"])
@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("<|im_end|>\nUser:", "I am here.\n"),
        ("\n<|im_end|>\nUser:", "I am here."),
        ("here.\n<|im_end|>", "I am "),
        ("<|im_end|>\n", "I am here.\n"),
        ("?<|im_end|><|im_start|>user", "I am here.\n\nUser: and you"),
        ("<|im_end|><|im_start|>", "I am here.\n\nUser: and you?"),
        ("<|im_start|>user\nMe", "I am here.\n\nUser: and you?"),
        ("<|im_end|>\nUser: and you?<|im_end|><|im_start|>", "I am here.\n"),
    ],
)
def test_a_stop_text_of_special_tokens_and_words_ends_a_completion(name: str, stop: str, text: str) -> None:
    made = Writer(name)
    done = made.write(WRITTEN, stop=("never there", stop))
    assert (done.text, done.finish_reason) == (text, "stop")
    assert done.completion_tokens < len(made.tokens(WRITTEN))


@pytest.mark.parametrize(
    "stop",
    [
        "<|im_end|>\nuser:",
        "<|im_start|>\nUser:",
        "here.<|im_end|>",
        "<|im_end|>User",
        "<|im_end|>\n<|im_start|>user",
        "<|im_end|>\nUser:<|im_end|>",
        "<|nothing|>\nUser:",
    ],
)
def test_other_texts_end_nothing(stop: str) -> None:
    done = Writer("none").write(WRITTEN, stop=(stop,))
    assert done.text.endswith("user\nMe too.")


def test_the_earliest_of_several_stop_texts_cuts() -> None:
    assert Writer("none").write(WRITTEN, stop=("<|im_end|>\nUser", "\nUser", "I am")).text == ""
    assert Writer("none").write(WRITTEN, stop=("\nUser:", "<|im_end|>\nUser:")).text == "I am here.\n"


def test_a_stop_text_waits_for_min_tokens() -> None:
    made, twice = Writer("none"), "a<|im_end|>b<|im_end|>b"
    least = len(made.tokens("a<|im_end|>b")) + 1
    assert made.write(twice, stop=("<|im_end|>b",), min_tokens=least - 1).text == "a"
    assert made.write(twice, stop=("<|im_end|>b",), min_tokens=least).text == "ab"


@pytest.mark.parametrize(("name", "end"), [("qwen3", "<|im_end|>"), ("opened", "<|im_end|>"), ("magistral", "[INST]")])
def test_a_stop_text_ends_no_thoughts(name: str, end: str) -> None:
    begin, close = ("[THINK]", "[/THINK]") if name == "magistral" else ("<think>", "</think>")
    made = Writer(name)
    kwargs: dict[str, Any] = {"enable_thinking": True}
    written = f"{begin}\nHm\nUser:\n{close}\n\nYes{end}\nUser: no"
    done = made.write(
        written.removeprefix(begin) if name == "opened" else written, kwargs=kwargs, stop=(f"{end}\nUser:",)
    )
    assert (done.text, done.reasoning.split()) == ("Yes", ["Hm", "User:"])
