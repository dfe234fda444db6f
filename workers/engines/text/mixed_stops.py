"""Mixed stops: stop texts of special tokens and words, such as `<|im_end|>` before `User:`.

The text of a completion leaves out special tokens, so such a stop text is never found in it. It is found among the tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from workers.engines.text.control import ControlTexts
from workers.engines.text.places import place_of, places_of
from workers.engines.text.reasoning_forms import Decode

_TOKENS_OF_A_CHARACTER: Final = 4
_TAIL: Final = 8


@dataclass(frozen=True, slots=True)
class MixedStop:
    """A stop text that has a special token and words.

    Args:
        texts: The words before the first special token, between two of them, and behind the last one. They may be empty.
        tokens: The special tokens; one fewer than `texts`.
    """

    texts: tuple[str, ...]
    tokens: tuple[int, ...]

    def cut(self, tokens: Sequence[int], decode: Decode, *, first: int, least: int) -> str | None:
        """Return the text before the stop text; None if the last tokens do not hold it.

        Args:
            tokens: The completion so far.
            decode: Turns the tokens of the completion into its text, without special tokens.
            first: The special tokens of the stop text come after this many tokens of the completion.
            least: Stop texts that end within fewer tokens than this do not count.
        """
        tail = _TAIL + _TOKENS_OF_A_CHARACTER * sum(map(len, self.texts)) + len(self.tokens)
        for at in places_of(tokens, self.tokens[:1], max(first, len(tokens) - tail)):
            if self._is_at(at, tokens, decode) and not self._is_at(at, tokens[: max(0, least - 1)], decode):
                text = decode(list(tokens[:at]))
                return text[: len(text) - len(self.texts[0])]
        return None

    def _is_at(self, at: int, tokens: Sequence[int], decode: Decode) -> bool:
        """Whether the first special token of the stop text stands at `at`, and the rest of the stop text around it."""
        if at >= len(tokens) or not decode(list(tokens[:at])).endswith(self.texts[0]):
            return False
        place = at + 1
        for token, text in zip(self.tokens[1:], self.texts[1:], strict=False):
            following = place_of(tokens, (token,), place)
            if following is None or text not in _forms(_between(tokens, place, following, decode)):
                return False
            place = following + 1
        return any(one.startswith(self.texts[-1]) for one in _forms(_between(tokens, place, len(tokens), decode)))


def mixed_stop(text: str, controls: ControlTexts, vocabulary: int) -> MixedStop | None:
    """Return a stop text as a MixedStop; None if it has no special token of the model, or is only such a token."""
    found = [(*span, token) for *span, token in controls.tokens_in(text) if token < vocabulary]
    if not found or controls.token_of(text) is not None:
        return None
    edges = [0, *(edge for start, end, _ in found for edge in (start, end)), len(text)]
    texts = tuple(text[start:end] for start, end in list(pairwise(edges))[::2])
    return MixedStop(texts, tuple(token for _, _, token in found))


def _between(tokens: Sequence[int], start: int, end: int, decode: Decode) -> str:
    """Return the text that the tokens from `start` to `end` add to the text before them."""
    return decode(list(tokens[:end]))[len(decode(list(tokens[:start]))) :]


def _forms(text: str) -> tuple[str, str]:
    """Return the text with and without the space that some tokenizers write behind a special token."""
    return text, text.removeprefix(" ")
