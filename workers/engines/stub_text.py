"""What the stub engine says: words that follow from prompt, seed and adapter alone, and end as a model's text may."""

import random
from collections.abc import Sequence
from typing import Final

from jobs.generation import FinishReason, Prompt
from workers.engines.stop_texts import stop_at

_VOCABULARY: Final = (
    "the a quiet morning light over old harbour brings new readers to every page and small ideas grow into clear plans "
    "while writers press their words through night until each line stands ready for people who wait with open minds"
)
MEAN_WORDS: Final = 60


def text_of(prompt: Prompt) -> str:
    """What a prompt says, whether it has turns or not."""
    return prompt.text or "\n".join(message.content for message in prompt.messages)


def speak(prompt: Prompt) -> tuple[list[str], FinishReason]:
    """The words of a completion and why it ends. A stop text is cut, with the words that hold it."""
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


def _stopped(words: list[str], stop: Sequence[str], min_tokens: int) -> tuple[list[str], FinishReason] | None:
    """The words up to the first stop text that ends after `min_tokens` words, or None where there is none."""
    text, floor = " ".join(words), len(" ".join(words[: max(0, min_tokens - 1)]))
    if len(words) < min_tokens or (cut := stop_at(text, stop, floor)) is None:
        return None
    return text[:cut].split(" ") if cut else [], "stop"
