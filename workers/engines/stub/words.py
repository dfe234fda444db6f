"""This module makes the words of the stub engine. They depend only on the prompt, with the prompt's params and adapter."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from jobs.generation import FinishReason, GenerationRequest, Prompt, TokenLogprob
from workers.engines.text.endings import stop_at

_VOCABULARY: Final = (
    "the a quiet morning light over old harbour brings new readers to every page and small ideas grow into clear plans "
    "while writers press their words through night until each line stands ready for people who wait with open minds"
)
_WORDS: Final = list(dict.fromkeys(_VOCABULARY.split()))
MEAN_WORDS: Final = 60
"""The mean length of a completion, in words, if no parameter limits it."""


def prompt_text(prompt: Prompt) -> str:
    """Return the text of a prompt: its raw text, or its messages joined."""
    return prompt.text or "\n".join(message.content for message in prompt.messages)


def completion_words(prompt: Prompt, continuation: int = 0) -> tuple[list[str], FinishReason]:
    """Return the words of a completion and the reason why the completion ends.

    If the prompt has continuations, the words are those of the one with this index. Otherwise the words depend on the text, and
    on how it is split into turns. So line breaks inside a turn are escaped, and line breaks between turns are not. A translation
    begins with the signs that it must keep.
    """
    if prompt.continuations:
        return prompt.continuations[continuation].split(), "stop"
    params = prompt.params
    roles = "/".join(message.role for message in prompt.messages)
    turns = "\n".join(message.content.replace("\\", "\\\\").replace("\n", "\\n") for message in prompt.messages)
    kwargs = (
        f"/{sorted(prompt.chat_template_kwargs.items())}" if prompt.chat_template_kwargs and prompt.messages else ""
    )
    chooser = random.Random(f"{params.seed}/{prompt.adapter}/{roles}{kwargs}/{prompt.text or turns}")
    wanted = max(params.min_tokens, chooser.randint(1, 2 * MEAN_WORDS - 1))
    words: list[str] = []
    while len(words) < min(wanted, params.max_tokens):
        sentence = chooser.choices(_VOCABULARY.split(), k=chooser.randint(5, 12))
        words += [sentence[0].capitalize(), *sentence[1:-1], sentence[-1] + "."]
    finish: FinishReason = "stop" if wanted <= params.max_tokens else "length"
    kept = prompt.translatable.signs if prompt.translatable else ()
    words = [*kept, *words][: min(wanted + len(kept), params.max_tokens)]
    return _stopped(words, params.stop, params.min_tokens) or (words, finish)


def thought_words(request: GenerationRequest, words: int) -> list[str]:
    """Return the words of the thoughts before an answer: `<think>`, then `words` words, then `</think>`.

    A raw text gets no thoughts, and neither does a row that sets `enable_thinking` to false. If `max_tokens` counts thoughts
    too, the thoughts end at this number.
    """
    prompt = request.prompt
    if (
        not words
        or not prompt.messages
        or prompt.continuations
        or prompt.chat_template_kwargs.get("enable_thinking") is False
    ):
        return []
    chooser = random.Random(f"{prompt.params.seed}/thoughts")
    thoughts = ["<think>", *chooser.choices(_WORDS, k=words), "</think>"]
    return thoughts[: prompt.params.max_tokens] if request.thoughts_count else thoughts


def logprobs_of(words: Sequence[str], logprobs: int | None, scored_after: str = "") -> tuple[TokenLogprob, ...]:
    """Return a log probability for each word; an empty tuple if `logprobs` is None.

    Each comes with the `logprobs` most likely words at its position. The word itself is always the most likely one. All values
    depend only on the word, on `logprobs`, and on `scored_after`: the prompt after which the words are scored.
    """
    if logprobs is None:
        return ()
    found = []
    for word in words:
        chooser = random.Random(f"{scored_after}{word}")
        own = chooser.uniform(0.3, 0.9)
        rest = 1 - own
        others = []
        for other in chooser.sample(_WORDS, logprobs - 1) if logprobs > 1 else ():
            rest /= 2
            probability = min(own, rest)
            others.append(TokenLogprob(_WORDS.index(other), other, math.log(probability)))
        plain = word.lower().strip(".")
        place = _WORDS.index(plain) if plain in _WORDS else len(_WORDS)
        first = TokenLogprob(place, word, math.log(own))
        found.append(replace(first, top=(first, *sorted(others, key=lambda one: -one.logprob)) if logprobs else ()))
    return tuple(found)


def _stopped(words: list[str], stop: Sequence[str], min_tokens: int) -> tuple[list[str], FinishReason] | None:
    """Return the words before the first stop text that ends in word number `min_tokens` or later, and the finish reason `stop`.

    Returns None if there is no such stop text.
    """
    text, floor = " ".join(words), len(" ".join(words[: max(0, min_tokens - 1)]))
    if len(words) < min_tokens or (cut := stop_at(text, stop, floor)) is None:
        return None
    return text[:cut].split(" ") if cut else [], "stop"
