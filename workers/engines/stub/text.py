"""What the stub engine says: words that follow from prompt, seed and adapter alone, and end as a model's text may."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from jobs.generation import FinishReason, Prompt, TokenLogprob
from workers.engines.text.endings import stop_at

_VOCABULARY: Final = (
    "the a quiet morning light over old harbour brings new readers to every page and small ideas grow into clear plans "
    "while writers press their words through night until each line stands ready for people who wait with open minds"
)
_WORDS: Final = list(dict.fromkeys(_VOCABULARY.split()))
MEAN_WORDS: Final = 60


def text_of(prompt: Prompt) -> str:
    """What a prompt says, whether it has turns or not."""
    return prompt.text or "\n".join(message.content for message in prompt.messages)


def speak(prompt: Prompt) -> tuple[list[str], FinishReason]:
    """The words of a completion and why it ends. A stop text is cut, with the words that hold it. A continuation is said."""
    if prompt.continuations:
        return prompt.continuations[0].split(), "stop"
    params = prompt.params
    roles = "/".join(message.role for message in prompt.messages)
    chance = random.Random(f"{params.seed}/{prompt.adapter}/{roles}/{text_of(prompt)}")
    wanted = max(params.min_tokens, chance.randint(1, 2 * MEAN_WORDS - 1))
    words: list[str] = []
    while len(words) < min(wanted, params.max_tokens):
        sentence = chance.choices(_VOCABULARY.split(), k=chance.randint(5, 12))
        words += [sentence[0].capitalize(), *sentence[1:-1], sentence[-1] + "."]
    finish: FinishReason = "stop" if wanted <= params.max_tokens else "length"
    words = words[: min(wanted, params.max_tokens)]
    return _stopped(words, params.stop, params.min_tokens) or (words, finish)


def likelihoods(words: Sequence[str], logprobs: int | None) -> tuple[TokenLogprob, ...]:
    """Log probabilities that follow from the words alone: each is the likeliest, and words of the vocabulary come next."""
    if logprobs is None:
        return ()
    found = []
    for word in words:
        chance = random.Random(word)
        own, rest = (number := chance.uniform(0.3, 0.9)), 1 - number
        others = []
        for other in chance.sample(_WORDS, logprobs - 1) if logprobs > 1 else ():
            rest /= 2
            own_share = min(own, rest)
            others.append(TokenLogprob(_WORDS.index(other), other, math.log(own_share)))
        plain = word.lower().strip(".")
        place = _WORDS.index(plain) if plain in _WORDS else len(_WORDS)
        first = TokenLogprob(place, word, math.log(own))
        found.append(replace(first, top=(first, *sorted(others, key=lambda one: -one.logprob)) if logprobs else ()))
    return tuple(found)


def _stopped(words: list[str], stop: Sequence[str], min_tokens: int) -> tuple[list[str], FinishReason] | None:
    """The words up to the first stop text that ends after `min_tokens` words, or None where there is none."""
    text, floor = " ".join(words), len(" ".join(words[: max(0, min_tokens - 1)]))
    if len(words) < min_tokens or (cut := stop_at(text, stop, floor)) is None:
        return None
    return text[:cut].split(" ") if cut else [], "stop"
