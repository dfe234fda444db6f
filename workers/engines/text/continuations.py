"""Continuations are texts that a model scores after a prompt. This module says which of their tokens are scored.

A tokenizer may join the end of a prompt with the beginning of a continuation, so a continuation does not have the tokens that
it has by itself. A model reads prompt and continuation as one text. The scored tokens are those of this text, from the first
token on that differs between the prompt alone and any of its continuations. All continuations are scored from this place, so
their scores can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.generation import Prompt
from workers.engines.text.chat_template import RenderedPrompt
from workers.engines.text.control import ControlTexts


@dataclass(frozen=True, slots=True)
class Joined:
    """A prompt and its continuations as tokens: the tokens that come before all of them, and the scored tokens of each.

    A continuation that adds nothing to its prompt has no tokens.
    """

    prefix: list[int]
    scored: tuple[list[int], ...]
    prompt: RenderedPrompt


def joined(prompt: RenderedPrompt, continuations: Sequence[str], controls: ControlTexts, *, raw: bool) -> Joined:
    """Return a prompt and its continuations as tokens. `raw` says that the prompt is a raw text, which no template has rendered.

    Raises:
        Forged: A text holds a control text that cannot be encoded as ordinary characters.
    """
    head = prompt.tokens[: prompt.last_start]
    texts = [
        controls.continued(prompt.text, text) if raw else controls.continued_piece(head, prompt.last, text)
        for text in continuations
    ]
    alone = controls.continued(prompt.text, "") if raw else prompt.tokens
    shared = min(_common(alone, text) for text in texts)
    if not shared:  # a model needs a token to read before it can score one
        scored = tuple(controls.content(text) for text in continuations)
        return Joined(alone, scored, prompt)
    return Joined(alone[:shared], tuple([] if text == alone else text[shared:] for text in texts), prompt)


class JoinedPrompts:
    """Keeps the last prompt with its continuations as tokens, since a request for each of them follows."""

    def __init__(self) -> None:
        self._key: tuple[Prompt, datetime | None] | None = None
        self._last: Joined | None = None

    def find(self, prompt: Prompt, created_at: datetime | None) -> Joined | None:
        """Return what was kept of this very prompt; None if it is another."""
        if self._key is None or self._key[0] is not prompt or self._key[1] != created_at:
            return None
        return self._last

    def keep(self, prompt: Prompt, created_at: datetime | None, found: Joined) -> None:
        """Keep a prompt in place of the one before."""
        self._key, self._last = (prompt, created_at), found


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two texts have in common at their beginning."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))
